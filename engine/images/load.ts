/** docker load: the archives of docker save (manifest.json) and OCI image layouts (image-layout.md). */
import { Readable } from 'node:stream'
import * as z from 'zod'
import { EngineError } from '../base/errors.ts'
import { ArchiveFiles } from './archive-files.ts'
import type { ImageDepot } from './depot.ts'
import { chainIds, type Digest, hexOf } from './digest.ts'
import type { Image, ImageConfig, OnProgress } from './image.ts'
import { parseImageConfig } from './image-config.ts'
import { layerTypeOf } from './import.ts'
import { installLayer } from './install-layer.ts'
import { LayerReport } from './layer-report.ts'
import type { Lease } from './leases.ts'
import { checkShape, type Descriptor, type Platform, parseManifest } from './manifest.ts'
import { registerImage } from './new-image.ts'
import { choosePlatform, parsePlatform, platformText, runsOn } from './platform.ts'
import { familiar, familiarName, parseTag, type Reference } from './reference.ts'
import { together } from './shared-work.ts'
import type { Installing } from './transfers.ts'

export type LoadOptions = { quiet: boolean; platform?: string; progress: OnProgress; signal?: AbortSignal }

type Load = {
  depot: ImageDepot
  transfers: Installing
  files: ArchiveFiles
  lease: Lease
  options: LoadOptions
}

/** One image of the archive: which file is what. */
type Listed = { config: string; layers: string[]; references: Reference[] }

const savedSchema = z
  .array(
    z.object({
      Config: z.string(),
      RepoTags: z.array(z.string()).nullish(),
      Layers: z.array(z.string()).max(500).nullish(),
    }),
  )
  .max(1000)

/**
 * Loads every image of the archive (plain, gzip or zstd). Returns what each is now called: its references, or its id
 * where it has none. invalid, and no image added, for a damaged archive or layers that are not what their image says.
 */
export async function loadImages(
  depot: ImageDepot,
  transfers: Installing,
  archive: NodeJS.ReadableStream,
  options: LoadOptions,
): Promise<string[]> {
  using lease = depot.leases.open()
  const source = archive instanceof Readable ? archive : new Readable().wrap(archive)
  const files = await ArchiveFiles.read(depot, lease, source, transfers.limits, options.signal)
  const load: Load = { depot, transfers, files, lease, options }
  const names: string[] = []
  const platform = parsePlatform(options.platform)
  for (const listed of await listImages(files, platform))
    names.push(...announce(load, await loadOne(load, listed), listed))
  return names
}

async function listImages(files: ArchiveFiles, platform: Platform): Promise<Listed[]> {
  if (files.has('manifest.json')) return await listSaved(files)
  if (files.has('index.json')) return await listLayout(files, platform)
  throw new EngineError(
    'invalid',
    'the archive is no image: it has neither manifest.json (docker save) nor index.json (OCI layout)',
  )
}

async function listSaved(files: ArchiveFiles): Promise<Listed[]> {
  const saved = checkShape(savedSchema, await files.json('manifest.json'), 'manifest.json of the archive')
  return saved.map(({ Config, RepoTags, Layers }) => ({
    config: Config,
    layers: Layers ?? [],
    references: (RepoTags ?? []).map(parseTag),
  }))
}

const blobPath = (digest: Digest): string => `blobs/sha256/${hexOf(digest)}`

const annotationSchema = z.object({
  manifests: z.array(z.object({ annotations: z.record(z.string(), z.string()).nullish() })),
})

async function listLayout(files: ArchiveFiles, platform: Platform): Promise<Listed[]> {
  const bytes = await files.bytes('index.json')
  const what = 'index.json of the archive'
  const index = parseManifest(bytes, what)
  if (index.kind !== 'index') throw new EngineError('invalid', `${what} is not an index`)
  const { manifests } = checkShape(annotationSchema, JSON.parse(bytes.toString()) as unknown, what)
  const listed: Listed[] = []
  for (const [at, entry] of index.manifests.entries()) {
    const { config, layers } = await manifestIn(files, entry.digest, platform)
    const references = referencesOf(manifests[at]?.annotations ?? {})
    listed.push({ config: blobPath(config.digest), layers: layers.map(({ digest }) => blobPath(digest)), references })
  }
  return listed
}

/** Of an index in the layout, the manifest for the platform. */
async function manifestIn(
  files: ArchiveFiles,
  digest: Digest,
  platform: Platform,
  depth = 0,
): Promise<{ config: Descriptor; layers: Descriptor[] }> {
  const path = blobPath(digest)
  const what = `${path} of the archive`
  if (files.get(path).digest !== digest)
    throw new EngineError('invalid', `${what} has digest ${files.get(path).digest}`)
  const manifest = parseManifest(await files.bytes(path), what)
  if (manifest.kind === 'manifest') return manifest
  const chosen = choosePlatform(manifest.manifests, platform)
  if (chosen === undefined || depth === 3)
    throw new EngineError('not-found', `${what} has no image for ${platformText(platform)}`)
  return await manifestIn(files, chosen.digest, platform, depth + 1)
}

/** containerd writes the full name; other tools write only a tag, which names nothing by itself. */
function referencesOf(annotations: Record<string, string>): Reference[] {
  const full = annotations['io.containerd.image.name']
  if (full !== undefined) return [parseTag(full)]
  const name = annotations['org.opencontainers.image.ref.name']
  return name !== undefined && /[:/]/.test(name) ? [parseTag(name)] : []
}

async function loadOne(load: Load, listed: Listed): Promise<Image> {
  const { depot, files, lease } = load
  const bytes = await files.bytes(listed.config)
  const parsed = parseImageConfig(bytes)
  const diffIds = parsed.rootfs.diff_ids as Digest[]
  refusePlatform(load, parsed)
  if (diffIds.length !== listed.layers.length)
    throw new EngineError(
      'invalid',
      `the archive's image ${listed.config} has ${diffIds.length} layers, but its list names ${listed.layers.length}`,
    )
  const chains = chainIds(diffIds)
  for (const chain of chains) lease.chain(chain)
  const found = listed.layers.map((path) => files.get(path))
  await together(load.options.signal, (signal) =>
    found.map(({ digest, size }, at) => {
      const layer = { blob: digest, diffId: diffIds[at]!, chainId: chains[at]!, parent: chains[at - 1] }
      return install(load, layer, size, signal)
    }),
  )
  const layers: Descriptor[] = []
  for (const { digest, size } of found) layers.push({ mediaType: await layerTypeOf(depot, digest), digest, size })
  return await registerImage(depot, lease, { config: bytes, parsed, layers, references: listed.references })
}

/** Only where one was asked for: an image for another machine may be wanted as it is. */
function refusePlatform({ options }: Load, { os, architecture, variant }: ImageConfig): void {
  if (options.platform === undefined) return
  const found = { os, architecture, variant: variant ?? '' }
  if (!runsOn(parsePlatform(options.platform), found))
    throw new EngineError(
      'not-found',
      `the archive has an image for ${platformText(found)}, not for ${options.platform}`,
    )
}

async function install(
  load: Load,
  layer: Parameters<typeof installLayer>[2],
  size: number,
  signal: AbortSignal,
): Promise<void> {
  const { depot, transfers, options } = load
  const report = new LayerReport(hexOf(layer.diffId).slice(0, 12), options.quiet ? undefined : options.progress)
  const known = depot.snapshotter.has(layer.chainId)
  await installLayer(depot, transfers, layer, (bytes) => report.bytes('Loading layer', bytes, size), signal)
  if (!known) report.bytes('Loading layer', size, size)
}

function announce({ depot, options }: Load, image: Image, { references }: Listed): string[] {
  if (references.length === 0) {
    options.progress({ stream: `Loaded image ID: ${image.id}\n` })
    depot.onEvent('load', image.id, { name: image.id })
    return [image.id]
  }
  return references.map((reference) => {
    const name = familiar(reference)
    options.progress({ stream: `Loaded image: ${name}\n` })
    depot.onEvent('load', image.id, { ...image.config.config?.Labels, name: familiarName(reference) })
    return name
  })
}
