/** docker import: a tar of a root directory becomes an image of one layer. */
import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { timestamp } from '../base/time.ts'
import { applyChanges } from './config-changes.ts'
import { compressionOf } from './decompress.ts'
import type { ImageDepot } from './depot.ts'
import type { Digest } from './digest.ts'
import type { Image, ImageConfig, ImportOptions } from './image.ts'
import type { Lease } from './leases.ts'
import type { Descriptor } from './manifest.ts'
import { ociLayer, ociLayerGzip, ociLayerZstd } from './media-types.table.ts'
import { registerImage } from './new-image.ts'
import { parsePlatform } from './platform.ts'
import { parseTag } from './reference.ts'
import type { Installing } from './transfers.ts'

/** The media type that a stored layer's first bytes call for. */
export async function layerTypeOf({ content }: ImageDepot, digest: Digest): Promise<string> {
  await using file = await open(content.path(digest))
  const start = Buffer.alloc(6)
  await file.read(start, 0, 6, 0)
  return { none: ociLayer, gzip: ociLayerGzip, zstd: ociLayerZstd }[compressionOf(start)]
}

/** invalid, with nothing left behind, for a damaged archive, an unknown change or a malformed reference. */
export async function importImage(
  depot: ImageDepot,
  transfers: Installing,
  archive: NodeJS.ReadableStream,
  options: ImportOptions,
): Promise<Image> {
  // Everything that can be wrong in the request first: the archive may be long.
  const references = options.reference === undefined ? [] : [parseTag(options.reference)]
  const runConfig = applyChanges({}, options.changes)
  const { os, architecture, variant } = parsePlatform(options.platform)
  using lease = depot.leases.open()
  const { maxBytes } = transfers.limits
  const blob = await lease.write(depot.content, bytesOf(archive), { limit: maxBytes }, options.signal)
  const layer = { mediaType: await layerTypeOf(depot, blob.digest), ...blob }
  const diffId = await installUnknown(depot, transfers, lease, layer, options.signal)
  const created = timestamp()
  const config: ImageConfig = {
    created,
    architecture,
    os,
    ...(variant !== '' && { variant }),
    config: runConfig,
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created, comment: options.message ?? 'Imported from -' }],
  }
  const bytes = Buffer.from(JSON.stringify(config))
  const image = await registerImage(depot, lease, { config: bytes, parsed: config, layers: [layer], references })
  depot.onEvent('import', image.id, { name: image.id })
  return image
}

const bytesOf = (stream: NodeJS.ReadableStream): AsyncIterable<Uint8Array> => Readable.from(stream)

/** A bottom layer whose diff id nobody has told. */
async function installUnknown(
  depot: ImageDepot,
  { limits, unpackers }: Installing,
  lease: Lease,
  layer: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Digest> {
  const staged = await depot.snapshotter.stage()
  try {
    const blob = { path: depot.content.path(layer.digest), size: layer.size }
    const options = { ...limits, ...(signal !== undefined && { signal }) }
    const { diffId, bytes, ownRoot, synced } = await unpackers.unpack(blob, staged.directory, options)
    lease.chain(diffId)
    depot.records.layerUnpacked(diffId, bytes)
    await staged.commit(diffId, { parent: undefined, ownRoot }, synced)
    return diffId
  } catch (error) {
    await staged.discard()
    throw error
  }
}
