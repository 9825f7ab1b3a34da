/** `docker history`: how an image came to be, newest step first. */
import { chainIds, type Digest } from './digest.ts'
import type { HistoryEntry, Image, ImageConfig } from './image.ts'
import type { ImageRecords } from './image-records.ts'

/** What Docker shows for a step whose own image is not here. */
const missing = '<missing>'

export function historyOf(image: Image, records: ImageRecords): HistoryEntry[] {
  const chains = chainIds(image.config.rootfs.diff_ids as Digest[])
  // A configuration may come without history (image-spec config.md): its layers are still steps.
  const steps: NonNullable<ImageConfig['history']> = image.config.history ?? chains.map(() => ({}))
  let layer = 0
  const entries = steps.map((step): HistoryEntry => {
    const chain = step.empty_layer === true ? undefined : chains[layer++]
    return {
      Id: missing,
      Created: seconds(step.created),
      CreatedBy: step.created_by ?? '',
      Tags: null,
      Size: chain === undefined ? 0 : records.layerBytes(chain),
      Comment: step.comment ?? '',
    }
  })
  const newest = entries.at(-1)
  if (newest !== undefined) Object.assign(newest, { Id: image.id, Tags: image.tags.length > 0 ? image.tags : null })
  return entries.reverse()
}

/** Seconds since the epoch; 0 for a step without a date, or one that is none. */
function seconds(date: string | undefined): number {
  const milliseconds = Date.parse(date ?? '')
  return Number.isNaN(milliseconds) ? 0 : Math.floor(milliseconds / 1000)
}
