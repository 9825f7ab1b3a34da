/** What pulls and pushes share: the way to registries, and the rule that the same thing is fetched or unpacked only once. */
import type { RegistrySession } from './registry-client.ts'
import { SharedWork, Slots } from './shared-work.ts'

export type BlobProgress = { status: string; current?: number; total?: number }

/** Per layer; what is beyond is refused, whatever a registry says. */
export type UnpackLimits = { maxBytes: number; maxEntries: number }

export class Transfers {
  readonly session: RegistrySession
  readonly limits: UnpackLimits
  /** Running downloads by digest. */
  readonly blobs = new SharedWork<BlobProgress>()
  /** Running extractions by chain id; compressed bytes read. */
  readonly layers = new SharedWork<number>()
  readonly downloads: Slots
  readonly uploads: Slots

  constructor(session: RegistrySession, limits: UnpackLimits) {
    this.session = session
    this.limits = limits
    this.downloads = new Slots(session.config.downloads)
    this.uploads = new Slots(session.config.uploads)
  }
}
