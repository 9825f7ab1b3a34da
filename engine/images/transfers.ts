/** What pulls and pushes share: the way to registries, and the rule that the same thing is fetched or unpacked only once. */
import type { RegistrySession } from './registry-client.ts'
import { SharedWork, Slots } from './shared-work.ts'
import { Unpackers, type UnpackersOptions } from './unpackers.ts'

export type BlobProgress = { status: string; current?: number; total?: number }

/** Per layer; what is beyond is refused, whatever a registry says. */
export type UnpackLimits = { maxBytes: number; maxEntries: number }

/** What it takes to unpack. */
export type Installing = Pick<Transfers, 'layers' | 'limits' | 'unpackers'>

export class Transfers implements AsyncDisposable {
  readonly session: RegistrySession
  readonly limits: UnpackLimits
  /** Running downloads by digest. */
  readonly blobs = new SharedWork<BlobProgress>()
  /** Running extractions by chain id; compressed bytes read. */
  readonly layers = new SharedWork<number>()
  readonly downloads: Slots
  readonly uploads: Slots
  readonly unpackers: Unpackers

  constructor(session: RegistrySession, limits: UnpackLimits, unpackers?: UnpackersOptions) {
    this.session = session
    this.limits = limits
    this.downloads = new Slots(session.config.downloads)
    this.uploads = new Slots(session.config.uploads)
    this.unpackers = new Unpackers(unpackers)
  }

  /** Ends all threads and connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.unpackers[Symbol.asyncDispose](), this.session[Symbol.asyncDispose]()])
  }
}
