/** What every verb of images/ works on, put together once by ImageStore. */
import type { Snapshotter } from '../snapshots/snapshotter.ts'
import type { ContentStore } from './content-store.ts'
import type { ImageRecords } from './image-records.ts'
import type { Leases } from './leases.ts'

/** Docker's image events (`pull`, `tag`, `load`, …); `id` becomes the actor's id. */
export type OnImageEvent = (action: string, id: string, attributes: Record<string, string>) => void

export type ImageDepot = {
  readonly content: ContentStore
  readonly records: ImageRecords
  readonly leases: Leases
  readonly snapshotter: Snapshotter
  readonly onEvent: OnImageEvent
}
