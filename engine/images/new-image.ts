/** The last step of everyone who puts an image together: configuration and manifest into the store, then the record. */
import type { ImageDepot } from './depot.ts'
import type { Digest } from './digest.ts'
import type { Image, ImageConfig } from './image.ts'
import type { Lease } from './leases.ts'
import { type Descriptor, type Manifest, parseManifest } from './manifest.ts'
import { ociConfig, ociManifest } from './media-types.table.ts'
import type { Reference } from './reference.ts'

export type Assembled = {
  /** As it is to be stored: its digest becomes the image's id. */
  config: Buffer
  /** What the engine reads of it. */
  parsed: ImageConfig
  layers: readonly Descriptor[]
  references: readonly Reference[]
}

/** Precondition: the layers' blobs and chains are there, and the lease holds them. */
export async function registerImage(depot: ImageDepot, lease: Lease, image: Assembled): Promise<Image> {
  const config = await lease.write(depot.content, image.config)
  const manifest = await lease.write(
    depot.content,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: ociManifest,
      config: { mediaType: ociConfig, digest: config.digest, size: config.size },
      layers: image.layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    }),
  )
  return depot.records.createImage({
    manifestDigest: manifest.digest,
    configDigest: config.digest,
    config: image.parsed,
    references: image.references,
  })
}

/** The manifest of an image in the store. */
export async function manifestOf({ content }: ImageDepot, image: Image): Promise<Manifest> {
  const digest = image.manifestDigest as Digest
  return parseManifest(await content.readBytes(digest), `manifest ${digest}`) as Manifest
}
