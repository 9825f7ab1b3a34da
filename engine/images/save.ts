/**
 * docker save: one tar that is both an OCI image layout (index.json, blobs/) and what docker load knows (manifest.json,
 * repositories). Layers go out as they are stored.
 */
import { Readable } from 'node:stream'
import type { ImageDepot } from './depot.ts'
import { type Digest, hexOf, sha256 } from './digest.ts'
import { refuseToMove } from './host-image.ts'
import type { Image } from './image.ts'
import type { Lease } from './leases.ts'
import type { Manifest } from './manifest.ts'
import { ociIndex } from './media-types.table.ts'
import { manifestOf } from './new-image.ts'
import { canonical, familiar, familiarName, isBareId, parseReference, parseTag, type Reference } from './reference.ts'
import { padding, plainEntry, tarEnd, tarHeader } from './tar-writer.ts'

type Chosen = { image: Image; manifest: Manifest; references: Reference[] }

/**
 * By references or ids, each image once. A name without a tag means all its tags; by id it goes without a name.
 * not-found; invalid for the image `host`. The blobs are held until the stream ends.
 */
export async function saveImages(depot: ImageDepot, references: readonly string[]): Promise<Readable> {
  const lease = depot.leases.open()
  try {
    const chosen = await choose(depot, references)
    for (const digest of blobsOf(chosen)) lease.blob(digest)
    // Looked at after they are held, so that what is there stays.
    const blobs = [...blobsOf(chosen)].map((digest) => ({ digest, size: depot.content.size(digest) }))
    return streamed(depot, lease, chosen, blobs)
  } catch (error) {
    lease[Symbol.dispose]()
    throw error
  }
}

function streamed(
  depot: ImageDepot,
  lease: Lease,
  chosen: Chosen[],
  blobs: { digest: Digest; size: number }[],
): Readable {
  const stream = Readable.from(archive(depot, chosen, blobs), { objectMode: false })
  stream.once('close', () => lease[Symbol.dispose]())
  return stream
}

async function choose(depot: ImageDepot, references: readonly string[]): Promise<Chosen[]> {
  const chosen = new Map<string, Chosen>()
  for (const text of references)
    for (const { image, reference } of imagesOf(depot, text)) {
      refuseToMove(depot, image, 'save')
      const known = chosen.get(image.id) ?? { image, manifest: await manifestOf(depot, image), references: [] }
      chosen.set(image.id, known)
      if (reference !== undefined && !known.references.some((other) => canonical(other) === canonical(reference)))
        known.references.push(reference)
    }
  return [...chosen.values()]
}

function imagesOf({ records }: ImageDepot, text: string): { image: Image; reference?: Reference }[] {
  const image = (): Image => records.get(text)
  if (isBareId(text) || text.startsWith('sha256:')) return [{ image: image() }]
  const reference = parseReference(text)
  const byName = records.byReference(reference)
  if (reference.digest !== undefined) return [{ image: image() }]
  if (reference.tag !== undefined) return [{ image: image(), reference }]
  const tags = records.list().flatMap((found) =>
    found.tags
      .map(parseTag)
      .filter((tag) => familiarName(tag) === familiarName(reference))
      .map((tag) => ({ image: found, reference: tag })),
  )
  return tags.length > 0 ? tags : [{ image: byName ?? image() }]
}

function blobsOf(chosen: readonly Chosen[]): Set<Digest> {
  const digests = new Set<Digest>()
  for (const { image, manifest } of chosen) {
    digests.add(image.manifestDigest as Digest)
    digests.add(manifest.config.digest)
    for (const { digest } of manifest.layers) digests.add(digest)
  }
  return digests
}

const blobPath = (digest: Digest): string => `blobs/sha256/${hexOf(digest)}`

async function* archive(
  depot: ImageDepot,
  chosen: readonly Chosen[],
  blobs: readonly { digest: Digest; size: number }[],
): AsyncGenerator<Buffer> {
  yield tarHeader(plainEntry('blobs', 'directory', 0o755))
  yield tarHeader(plainEntry('blobs/sha256', 'directory', 0o755))
  for (const { digest, size } of blobs) {
    yield tarHeader({ ...plainEntry(blobPath(digest), 'file', 0o644), size })
    for await (const chunk of depot.content.read(digest)) yield chunk as Buffer
    yield padding(size)
  }
  for (const [name, value] of documents(depot, chosen)) {
    const bytes = Buffer.from(JSON.stringify(value))
    yield Buffer.concat([
      tarHeader({ ...plainEntry(name, 'file', 0o644), size: bytes.length }),
      bytes,
      padding(bytes.length),
    ])
  }
  yield tarEnd
}

function documents(depot: ImageDepot, chosen: readonly Chosen[]): [string, unknown][] {
  const documents: [string, unknown][] = [
    ['index.json', { schemaVersion: 2, mediaType: ociIndex, manifests: chosen.flatMap((one) => entries(depot, one)) }],
    ['manifest.json', chosen.map(savedForm)],
    ['oci-layout', { imageLayoutVersion: '1.0.0' }],
  ]
  const repositories = repositoriesOf(chosen)
  return Object.keys(repositories).length === 0 ? documents : [...documents, ['repositories', repositories]]
}

function entries(depot: ImageDepot, { image, manifest, references }: Chosen): object[] {
  const digest = image.manifestDigest as Digest
  const entry = {
    mediaType: manifest.mediaType,
    digest,
    size: depot.content.size(digest),
    platform: {
      architecture: image.config.architecture,
      os: image.config.os,
      ...(image.config.variant !== undefined && { variant: image.config.variant }),
    },
  }
  if (references.length === 0) return [entry]
  return references.map((reference) => ({
    ...entry,
    annotations: {
      'io.containerd.image.name': canonical(reference),
      'org.opencontainers.image.ref.name': reference.tag ?? 'latest',
    },
  }))
}

const savedForm = ({ manifest, references }: Chosen): object => ({
  Config: blobPath(manifest.config.digest),
  RepoTags: references.length === 0 ? null : references.map(familiar),
  Layers: manifest.layers.map(({ digest }) => blobPath(digest)),
})

/** The oldest form names the top layer; loaders that still read it only look whether it is there. */
function repositoriesOf(chosen: readonly Chosen[]): Record<string, Record<string, string>> {
  const repositories: Record<string, Record<string, string>> = {}
  for (const { manifest, references } of chosen)
    for (const reference of references) {
      const top = manifest.layers.at(-1)?.digest ?? sha256('')
      repositories[familiarName(reference)] = {
        ...repositories[familiarName(reference)],
        [reference.tag ?? 'latest']: hexOf(top),
      }
    }
  return repositories
}
