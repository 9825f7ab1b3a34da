/** `docker pull`: reference → manifest → configuration → layers → a registered image. */
import { EngineError } from '../base/errors.ts'
import { span } from '../trace/trace.ts'
import type { ImageDepot } from './depot.ts'
import { type Digest, parseDigest } from './digest.ts'
import type { Image, ImageConfig, PullOptions } from './image.ts'
import { parseImageConfig } from './image-config.ts'
import type { Lease } from './leases.ts'
import { type Descriptor, type Manifest, type Platform, parseManifest } from './manifest.ts'
import { choosePlatform, parsePlatform, platformText, runsOn } from './platform.ts'
import { translatePullError } from './pull-errors.ts'
import { fetchBlob, pullLayers } from './pull-layers.ts'
import { familiar, familiarName, parseReference, type Reference, repositoryName, withDefaultTag } from './reference.ts'
import { RegistryClient } from './registry-client.ts'
import { endpointsOf } from './registry-config.ts'
import type { Transfers } from './transfers.ts'

type Pull = {
  depot: ImageDepot
  transfers: Transfers
  reference: Reference
  platform: Platform
  options: PullOptions
}

type Found = { manifest: Manifest; digest: Digest; served: Digest }

/** Bytes; a configuration is text about an image, not the image. */
const configLimit = 8 * 1024 * 1024

/** not-found, unauthorized, unavailable, invalid, in Docker's words; the signal's reason when aborted. */
export async function pullImage(
  depot: ImageDepot,
  transfers: Transfers,
  text: string,
  options: PullOptions,
): Promise<Image> {
  const reference = withDefaultTag(parseReference(text))
  if (reference.digest !== undefined) parseDigest(reference.digest)
  const pull = { depot, transfers, reference, platform: parsePlatform(options.platform), options }
  const endpoints = endpointsOf(reference, transfers.session.config, true)
  for (const [at, endpoint] of endpoints.entries())
    try {
      const client = new RegistryClient(transfers.session, endpoint, reference.path, options.auth, 'pull')
      return await pullFrom(pull, client)
    } catch (error) {
      options.signal?.throwIfAborted()
      if (at === endpoints.length - 1) throw translatePullError(error, reference)
    }
  throw new EngineError('internal', `no registry serves ${familiar(reference)}`)
}

/** Every tag of a repository, one after the other. */
export async function pullAllTags(
  depot: ImageDepot,
  transfers: Transfers,
  repository: string,
  options: PullOptions,
): Promise<Image[]> {
  const { domain, path } = parseReference(repository)
  const [endpoint] = endpointsOf({ domain }, transfers.session.config, false)
  const client = new RegistryClient(transfers.session, endpoint!, path, options.auth, 'pull')
  const tags = await client.tags(options.signal).catch((error: unknown) => {
    options.signal?.throwIfAborted()
    throw translatePullError(error, { domain, path })
  })
  if (tags.length === 0) throw new EngineError('not-found', `repository ${familiarName({ domain, path })} has no tags`)
  const images: Image[] = []
  for (const tag of tags) images.push(await pullImage(depot, transfers, familiar({ domain, path, tag }), options))
  return images
}

async function pullFrom(pull: Pull, client: RegistryClient): Promise<Image> {
  const { depot, reference, options } = pull
  const name = reference.digest ?? reference.tag!
  const known = await unchanged(pull, client, name)
  if (known !== undefined) return known
  using lease = depot.leases.open()
  try {
    const found = await span('images', 'fetch manifest', () => findManifest(pull, client, lease, name))
    options.progress?.({ status: `Pulling from ${reference.path}`, id: name })
    const before = depot.records.byReference(reference)?.id
    const config = await fetchConfig(pull, client, lease, found)
    await fetchLayersOf(pull, client, lease, found, config)
    return register(pull, found, config, before)
  } catch (error) {
    // The next try goes on from what has arrived whole.
    lease.keep()
    throw error
  }
}

/** The image, if the registry's answer to HEAD says that nothing is new; a full pull otherwise. */
async function unchanged(pull: Pull, client: RegistryClient, name: string): Promise<Image | undefined> {
  const { depot, reference, platform, options } = pull
  const before = depot.records.byReference(reference)
  if (before === undefined || !isWhole(depot, before) || !runsOn(platform, platformOf(before.config))) return undefined
  const served = reference.digest ?? (await client.headManifest(name, options.signal))
  if (served === undefined) return undefined
  if (depot.records.byReference({ ...repositoryOf(reference), digest: served })?.id !== before.id) return undefined
  options.progress?.({ status: `Pulling from ${reference.path}`, id: name })
  options.progress?.({ status: `Digest: ${served}` })
  options.progress?.({ status: `Status: Image is up to date for ${familiar(reference)}` })
  return before
}

const repositoryOf = ({ domain, path }: Reference): Reference => ({ domain, path })

const platformOf = ({ os, architecture, variant }: ImageConfig): Platform => ({
  os,
  architecture,
  variant: variant ?? '',
})

const isWhole = (depot: ImageDepot, image: Image): boolean =>
  image.chainId === undefined || depot.snapshotter.has(image.chainId)

async function findManifest(pull: Pull, client: RegistryClient, lease: Lease, name: string): Promise<Found> {
  const { reference, platform, options, depot } = pull
  const what = `manifest for ${familiar(reference)}`
  let answer = await client.manifest(name, options.signal)
  const served = answer.digest
  // An index may point to indexes (image-index.md); nobody nests them deeper than this.
  for (let depth = 0; depth < 3; depth++) {
    const manifest = parseManifest(answer.bytes, what, answer.mediaType)
    await lease.write(depot.content, answer.bytes, { digest: answer.digest }, options.signal)
    if (manifest.kind === 'manifest') return { manifest, digest: answer.digest, served }
    const entry = choosePlatform(manifest.manifests, platform)
    if (entry === undefined)
      throw new EngineError(
        'not-found',
        `no matching manifest for ${platformText(platform)} in the manifest list entries`,
      )
    answer = await client.manifest(entry.digest, options.signal)
  }
  throw new EngineError('invalid', `${what} is an index of indexes of indexes`)
}

async function fetchConfig(pull: Pull, client: RegistryClient, lease: Lease, found: Found): Promise<ImageConfig> {
  const { depot, transfers, reference, platform, options } = pull
  const { config: blob, layers } = found.manifest
  const what = `image configuration ${blob.digest}`
  if (blob.size > configLimit) throw new EngineError('invalid', `${what} is larger than ${configLimit} bytes`)
  lease.blob(blob.digest)
  await fetchBlob({ depot, transfers, client, signal: options.signal }, blob, () => {})
  const config = parseImageConfig(await depot.content.readBytes(blob.digest))
  if (config.rootfs.diff_ids.length !== layers.length)
    throw new EngineError(
      'invalid',
      `${what} names ${config.rootfs.diff_ids.length} layers, but its manifest has ${layers.length}`,
    )
  if (options.platform && !runsOn(platform, platformOf(config)))
    throw new EngineError(
      'not-found',
      `image with reference ${familiar(reference)} was found but its platform (${platformText(platformOf(config))}) ` +
        `does not match the specified platform (${platformText(platform)})`,
    )
  return config
}

async function fetchLayersOf(
  { depot, transfers, options }: Pull,
  client: RegistryClient,
  lease: Lease,
  { manifest }: Found,
  config: ImageConfig,
): Promise<void> {
  const source = { depot, transfers, client, lease, signal: options.signal }
  await pullLayers(source, manifest.layers, config.rootfs.diff_ids as Digest[], options.progress)
}

function register(pull: Pull, found: Found, config: ImageConfig, before: string | undefined): Image {
  const { depot, reference, options } = pull
  const digested = { ...repositoryOf(reference), digest: found.served }
  // With a digest asked for, the tag says nothing that was verified, and is not kept.
  const references = reference.digest === undefined ? [reference, digested] : [digested]
  const image = depot.records.createImage({
    manifestDigest: found.digest,
    configDigest: found.manifest.config.digest,
    config,
    references,
    blobSources: { repository: repositoryName(reference), blobs: found.manifest.layers.map(digestOfBlob) },
  })
  const news = before === image.id ? 'Image is up to date' : 'Downloaded newer image'
  options.progress?.({ status: `Digest: ${found.served}` })
  options.progress?.({ status: `Status: ${news} for ${familiar(reference)}` })
  depot.onEvent('pull', familiar(reference), { ...config.config?.Labels, name: familiarName(reference) })
  return image
}

const digestOfBlob = ({ digest }: Descriptor): Digest => digest
