/** docker commit: what a container wrote becomes one more layer. */
import { timestamp } from '../base/time.ts'
import type { ImageDepot } from './depot.ts'
import { chainIds, type Digest } from './digest.ts'
import type { CommitOptions, Image, ImageConfig } from './image.ts'
import { installLayer } from './install-layer.ts'
import { layerArchive } from './layer-changes.ts'
import type { Lease } from './leases.ts'
import type { Descriptor } from './manifest.ts'
import { ociLayer } from './media-types.table.ts'
import { manifestOf, registerImage } from './new-image.ts'
import { parseTag } from './reference.ts'
import { paced } from './tar-tree.ts'
import type { Installing } from './transfers.ts'

export type NewLayer = { descriptor: Descriptor; diffId: Digest; chainId: Digest }

/**
 * The layer of what was written into a snapshot, as blob and as chain on top of `below` (diff ids, lowest first). Not
 * compressed: that would cost more than all the rest, and the diff id is the digest. Precondition: nothing writes.
 */
export async function commitLayer(
  depot: ImageDepot,
  transfers: Installing,
  lease: Lease,
  snapshotKey: string,
  below: readonly Digest[],
  signal?: AbortSignal,
): Promise<NewLayer> {
  const pieces = paced(layerArchive(depot.snapshotter.uppers(snapshotKey)))
  const blob = await lease.write(depot.content, pieces, {}, signal)
  const chainId = chainIds([...below, blob.digest]).at(-1)!
  const parent = chainIds(below).at(-1)
  for (const chain of [chainId, ...(parent === undefined ? [] : [parent])]) lease.chain(chain)
  const layer = { blob: blob.digest, diffId: blob.digest, chainId, parent }
  await installLayer(depot, transfers, layer, () => {}, signal)
  return { descriptor: { mediaType: ociLayer, ...blob }, diffId: blob.digest, chainId }
}

/** Registers the new image; the reference moves to it. */
export async function commitImage(depot: ImageDepot, transfers: Installing, options: CommitOptions): Promise<Image> {
  const { base, snapshotKey } = options
  const references = options.reference === undefined ? [] : [parseTag(options.reference)]
  using lease = depot.leases.open()
  const { layers } = await manifestOf(depot, base)
  for (const { digest } of layers) lease.blob(digest)
  const below = base.config.rootfs.diff_ids as Digest[]
  const layer = await commitLayer(depot, transfers, lease, snapshotKey, below)
  const config = configOf(options, layer.diffId)
  return await registerImage(depot, lease, {
    config: Buffer.from(JSON.stringify(config)),
    parsed: config,
    layers: [...layers, layer.descriptor],
    references,
  })
}

function configOf({ base, config, author, comment }: CommitOptions, diffId: Digest): ImageConfig {
  const created = timestamp()
  const said = {
    ...(author !== undefined && author !== '' && { author }),
  }
  return {
    ...base.config,
    ...said,
    created,
    config,
    rootfs: { type: 'layers', diff_ids: [...base.config.rootfs.diff_ids, diffId] },
    history: [
      ...(base.config.history ?? []),
      {
        created,
        ...said,
        ...(config.Cmd !== undefined && { created_by: config.Cmd.join(' ') }),
        ...(comment !== undefined && comment !== '' && { comment }),
      },
    ],
  }
}
