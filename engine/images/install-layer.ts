/** One layer blob onto the disk, as the top of a chain. */
import { EngineError } from '../base/errors.ts'
import { span } from '../trace/trace.ts'
import type { ImageDepot } from './depot.ts'
import type { Digest } from './digest.ts'
import type { Installing } from './transfers.ts'

export type LayerToInstall = {
  blob: Digest
  diffId: Digest
  chainId: Digest
  /** Chain id of the layers below. */
  parent: Digest | undefined
}

/**
 * Returns at once if the chain is there; joins whoever is installing it already. invalid when the content is not what
 * the image's configuration says. Precondition: the blob is in the store, and a lease holds blob, chain and parent.
 *
 * It waits for the parent before the end, and so may be called while that is still being installed: whoever does so aborts
 * the signal when the parent fails.
 */
export async function installLayer(
  depot: ImageDepot,
  transfers: Installing,
  layer: LayerToInstall,
  onBytes: (compressed: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (depot.snapshotter.has(layer.chainId)) return
  const work = (shared: AbortSignal, report: (bytes: number) => void): Promise<void> =>
    span('snapshot', `unpack ${layer.blob.slice(7, 19)}`, () => unpack(depot, transfers, layer, report, shared))
  await transfers.layers.run(layer.chainId, work, onBytes, signal)
}

async function unpack(
  { content, records, snapshotter }: ImageDepot,
  { limits, unpackers }: Installing,
  { blob, diffId, chainId, parent }: LayerToInstall,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  // Asked again: another one may have ended between the caller's look and this work's start.
  if (snapshotter.has(chainId)) return
  const staged = await snapshotter.stage()
  try {
    const file = { path: content.path(blob), size: content.size(blob) }
    const unpacked = await unpackers.unpack(file, staged.directory, { ...limits, signal, onProgress })
    if (unpacked.diffId !== diffId)
      throw new EngineError(
        'invalid',
        `layer ${blob} unpacks to ${unpacked.diffId}, but the image's configuration says ${diffId}`,
      )
    if (parent !== undefined) await snapshotter.until(parent, signal)
    signal.throwIfAborted()
    records.layerUnpacked(chainId, unpacked.bytes)
    await staged.commit(chainId, { parent, ownRoot: unpacked.ownRoot }, unpacked.synced)
  } catch (error) {
    await staged.discard()
    throw error
  }
}
