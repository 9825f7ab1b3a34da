/** How much of the disk is whose: the sizes of layers that several images stand on. */
import { chainIds, type Digest } from './digest.ts'
import type { Image, LayerUse } from './image.ts'
import type { ImageRecords } from './image-records.ts'

export function layerUse(images: readonly Image[], records: Pick<ImageRecords, 'layerBytes'>): LayerUse {
  const chains = new Map(images.map(({ id, config }) => [id, chainIds(config.rootfs.diff_ids as Digest[])]))
  const users = new Map<string, number>()
  for (const chain of [...chains.values()].flat()) users.set(chain, (users.get(chain) ?? 0) + 1)
  const bytes = new Map([...users.keys()].map((chain) => [chain, records.layerBytes(chain)]))
  const sum = (of: readonly string[]): number => of.reduce((total, chain) => total + bytes.get(chain)!, 0)
  return {
    total: sum([...users.keys()]),
    shared: new Map([...chains].map(([id, own]) => [id, sum(own.filter((chain) => users.get(chain)! > 1))])),
  }
}
