/**
 * Blobs by digest, in the directory form of the OCI image layout (image-layout.md): other tools can read the store.
 * A blob that can be seen is whole, verified and on the disk.
 */
import { randomUUID } from 'node:crypto'
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { EngineError } from '../base/errors.ts'
import { type Digest, hexOf, isDigest, sha256 } from './digest.ts'
import { type Expected, Ingest } from './ingest.ts'

/** An interrupted download is worth keeping this long; milliseconds. */
export const abandonedAfter = 24 * 60 * 60 * 1000

/** More is not a manifest or a configuration; bytes. Docker and containerd draw the line for manifests at 4 MiB. */
const jsonLimit = 16 * 1024 * 1024

export class ContentStore {
  readonly #blobs: string
  readonly #ingest: string
  readonly #busy = new Set<Digest>()

  /** @param directory `<root>/blobs`; `oci-layout` and `ingest/` stand beside it. */
  constructor(directory: string) {
    this.#blobs = join(directory, 'sha256')
    this.#ingest = join(dirname(directory), 'ingest')
    for (const path of [this.#blobs, this.#ingest]) mkdirSync(path, { recursive: true, mode: 0o700 })
    const layout = join(dirname(directory), 'oci-layout')
    if (existsSync(layout)) return
    const fresh = join(this.#ingest, `tmp-${randomUUID()}`)
    writeFileSync(fresh, '{"imageLayoutVersion":"1.0.0"}', { flush: true })
    renameSync(fresh, layout)
  }

  /** Where the blob is or would be. */
  path(digest: Digest): string {
    return join(this.#blobs, hexOf(digest))
  }

  has(digest: Digest): boolean {
    return existsSync(this.path(digest))
  }

  /** Bytes. not-found when the store has no such blob. */
  size(digest: Digest): number {
    const found = statSync(this.path(digest), { throwIfNoEntry: false })
    if (found === undefined) throw missing(digest)
    return found.size
  }

  /** The bytes; the stream fails when there is no such blob. */
  read(digest: Digest): Readable {
    return createReadStream(this.path(digest))
  }

  /** Small blobs whole, verified again: what is parsed must be what was promised. not-found, invalid. */
  async readBytes(digest: Digest): Promise<Buffer> {
    if (this.size(digest) > jsonLimit)
      throw new EngineError('invalid', `blob ${digest} is larger than ${jsonLimit} bytes`)
    const bytes = await readFile(this.path(digest))
    if (sha256(bytes) !== digest)
      throw new EngineError('internal', `blob ${digest} has changed on the disk: pull its image again`)
    return bytes
  }

  /** The blob as JSON, unchecked in shape. */
  async readJson(digest: Digest): Promise<unknown> {
    const bytes = await this.readBytes(digest)
    try {
      return JSON.parse(bytes.toString('utf8'))
    } catch (error) {
      throw new EngineError('invalid', `blob ${digest} is not JSON`, { cause: error })
    }
  }

  /**
   * Stores what the source gives. A source that fails, a wrong digest or a wrong size leaves nothing behind.
   * `onDigest` runs before the blob can be seen, see Lease.write.
   */
  async write(
    source: AsyncIterable<Uint8Array> | Uint8Array | string,
    expected: Expected = {},
    signal?: AbortSignal,
    onDigest?: (digest: Digest) => void,
  ): Promise<{ digest: Digest; size: number }> {
    await using ingest = await Ingest.open(join(this.#ingest, `tmp-${randomUUID()}`), false)
    const limit = expected.size ?? expected.limit
    await ingest.append(typeof source === 'string' || source instanceof Uint8Array ? once(source) : source, {
      ...(limit !== undefined && { limit }),
      ...(signal !== undefined && { signal }),
    })
    return await ingest.commit(expected, (digest) => this.path(digest), onDigest)
  }

  /**
   * A download that survives interruption: opened again under the same digest it goes on where it stopped.
   * conflict while another one is open.
   */
  async download(digest: Digest): Promise<Download> {
    if (this.#busy.has(digest)) throw new EngineError('conflict', `blob ${digest} is being downloaded already`)
    this.#busy.add(digest)
    try {
      const ingest = await Ingest.open(join(this.#ingest, hexOf(digest)), true)
      return {
        ingest,
        commit: async (size, onDigest) => {
          await ingest.commit({ digest, size }, (name) => this.path(name), onDigest)
        },
        [Symbol.asyncDispose]: async () => {
          this.#busy.delete(digest)
          await ingest[Symbol.asyncDispose]()
        },
      }
    } catch (error) {
      this.#busy.delete(digest)
      throw error
    }
  }

  /** Missing is fine. */
  delete(digest: Digest): void {
    try {
      unlinkSync(this.path(digest))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }

  list(): Digest[] {
    return readdirSync(this.#blobs)
      .map((name) => `sha256:${name}`)
      .filter(isDigest)
  }

  /** At start: drops what a killed daemon was writing; downloads stay for a day, so that the next pull resumes. */
  recover(now: number = Date.now()): void {
    this.#sweepIngest((digest, modified) => digest !== undefined && now - modified < abandonedAfter)
  }

  /** Drops interrupted downloads that nobody is going on with. */
  dropPartial(): void {
    this.#sweepIngest((digest) => digest === undefined || this.#busy.has(digest))
  }

  #sweepIngest(keep: (download: Digest | undefined, modified: number) => boolean): void {
    for (const name of readdirSync(this.#ingest)) {
      const path = join(this.#ingest, name)
      const digest = `sha256:${name}`
      const found = statSync(path, { throwIfNoEntry: false })
      if (found !== undefined && keep(isDigest(digest) ? digest : undefined, found.mtimeMs)) continue
      rmSync(path, { force: true, recursive: true })
    }
  }
}

export type Download = AsyncDisposable & {
  readonly ingest: Ingest
  /** Verifies against the digest it was opened for; invalid, and nothing is left, when it is another. */
  commit(size: number | undefined, onDigest?: (digest: Digest) => void): Promise<void>
}

const missing = (digest: Digest): EngineError => new EngineError('not-found', `content ${digest} is not in the store`)

async function* once(bytes: Uint8Array | string): AsyncGenerator<Uint8Array> {
  yield typeof bytes === 'string' ? Buffer.from(bytes) : bytes
}
