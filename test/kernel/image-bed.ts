/** A store of images and snapshots in a directory of its own, as tests of both need it. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pack } from 'tar-stream'
import { Database } from '../../engine/base/database.ts'
import { ContentStore } from '../../engine/images/content-store.ts'
import type { ImageDepot } from '../../engine/images/depot.ts'
import { ImageRecords } from '../../engine/images/image-records.ts'
import { imageSchema } from '../../engine/images/image-table.ts'
import { Leases } from '../../engine/images/leases.ts'
import { SharedWork } from '../../engine/images/shared-work.ts'
import type { Unpacked } from '../../engine/images/unpack.ts'
import { Unpackers } from '../../engine/images/unpackers.ts'
import { OverlaySnapshotter, snapshotSchema } from '../../engine/snapshots/overlay-snapshotter.ts'

/** A reason to skip, or false. */
export const needsRoot: string | false = process.getuid?.() === 0 ? false : 'needs root'

export class ImageBed implements AsyncDisposable {
  readonly root: string
  readonly database: Database
  readonly snapshotter: OverlaySnapshotter
  readonly depot: ImageDepot
  readonly transfers: {
    layers: SharedWork<number>
    limits: { maxBytes: number; maxEntries: number }
    unpackers: Unpackers
  } = {
    layers: new SharedWork<number>(),
    limits: { maxBytes: 1e9, maxEntries: 1e5 },
    // As small as the layers of tests are: what holds, holds in a thread.
    unpackers: new Unpackers({ threadsFrom: 0 }),
  }
  readonly events: [string, string][] = []

  constructor() {
    this.root = mkdtempSync(join(tmpdir(), 'drydock-bed-'))
    this.database = new Database(join(this.root, 'database'), [snapshotSchema, imageSchema])
    this.snapshotter = new OverlaySnapshotter(this.database, this.root)
    this.depot = {
      content: new ContentStore(join(this.root, 'blobs')),
      records: new ImageRecords(this.database),
      leases: new Leases(this.database),
      snapshotter: this.snapshotter,
      onEvent: (action, id) => this.events.push([action, id]),
    }
  }

  /** A fresh directory beside the store. */
  place(name: string): string {
    const path = join(this.root, name)
    mkdirSync(path, { recursive: true })
    return path
  }

  /** Unpacks an archive, in a thread, as a committed bottom layer and gives its directory. */
  async unpack(
    archive: Buffer,
    limits: { maxBytes?: number; maxEntries?: number } = {},
  ): Promise<Unpacked & { path: string }> {
    const staged = await this.snapshotter.stage()
    const blob = { path: join(this.root, 'archive'), size: archive.length }
    writeFileSync(blob.path, archive)
    try {
      const options = { ...this.transfers.limits, ...limits }
      const unpacked = await this.transfers.unpackers.unpack(blob, staged.directory, options)
      await staged.commit(unpacked.diffId, { parent: undefined, ownRoot: unpacked.ownRoot }, unpacked.synced)
      return { ...unpacked, path: staged.directory }
    } catch (error) {
      await staged.discard()
      throw error
    }
  }

  /** Each has a few descriptors of its own. */
  async endThreads(): Promise<void> {
    await this.transfers.unpackers[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endThreads()
    await this.snapshotter.settled()
    this.database[Symbol.dispose]()
    rmSync(this.root, { recursive: true, force: true })
  }
}

type PackHeader = Parameters<ReturnType<typeof pack>['entry']>[0]

/** An entry for tar-stream with its contents. */
export type TarItem = readonly [header: PackHeader & { pax?: Record<string, string> }, contents?: string]

/** An archive made by tar-stream. */
export async function tarOf(...items: readonly TarItem[]): Promise<Buffer> {
  const archive = pack()
  for (const [header, contents] of items) archive.entry({ mtime: new Date(1e12), ...header }, contents ?? '')
  archive.finalize()
  return await buffer(archive as unknown as AsyncIterable<Buffer>)
}

/** Mounts of this process that name the text. */
export const mountsWith = (text: string): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(text))

/** How many descriptors this process has open. */
export const openDescriptors = (): number => readdirSync('/proc/self/fd').length
