/**
 * A blob on its way into the store: a file that grows while its hash is taken. It becomes a blob by one rename(2) after
 * its bytes are on the disk, so a crash leaves either the whole blob or a file in `ingest/` that recovery knows.
 */
import type { Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { EngineError } from '../base/errors.ts'
import { isNoSpace, noSpace } from '../base/no-space.ts'
import { Batches } from './batches.ts'
import { type Digest, digestOf, newHash } from './digest.ts'

/** What a blob must turn out to be; a limit without a size bounds sources that did not say how long they are. */
export type Expected = { digest?: Digest; size?: number | undefined; limit?: number }

export class Ingest implements AsyncDisposable {
  readonly #path: string
  readonly #file: FileHandle
  readonly #resumable: boolean
  #hash: Hash
  #offset = 0
  #done = false

  private constructor(path: string, file: FileHandle, resumable: boolean) {
    this.#path = path
    this.#file = file
    this.#resumable = resumable
    this.#hash = newHash()
  }

  /**
   * Opens or continues the file. A resumable one keeps what it has when it is closed without commit or discard; what an
   * earlier run left is read once, because the hash goes over all bytes.
   */
  static async open(path: string, resumable: boolean): Promise<Ingest> {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
    const ingest = new Ingest(path, file, resumable)
    try {
      for await (const chunk of file.createReadStream({ autoClose: false, start: 0 })) ingest.#count(chunk)
      return ingest
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Bytes received so far, of this run and earlier ones. */
  get offset(): number {
    return this.#offset
  }

  #count(chunk: Uint8Array): void {
    this.#hash.update(chunk)
    this.#offset += chunk.byteLength
  }

  /**
   * Adds all of the source. Throws invalid as soon as there is more than `limit` bytes; what came before stays. While one
   * batch is written the next one gathers: as large as the source is quick, and none of it waits for more to come.
   */
  async append(
    source: AsyncIterable<Uint8Array>,
    options: { limit?: number; signal?: AbortSignal; onBytes?: (offset: number) => void } = {},
  ): Promise<void> {
    const { limit = Number.POSITIVE_INFINITY, signal, onBytes } = options
    const batches = new Batches(async (pieces, bytes) => {
      await this.#write(pieces, bytes)
      onBytes?.(this.#offset)
    })
    let taken = this.#offset
    try {
      for await (const chunk of source) {
        signal?.throwIfAborted()
        taken += chunk.byteLength
        if (taken > limit)
          throw new EngineError('invalid', `blob is larger than the ${limit} bytes it was announced with`)
        await batches.add(chunk)
      }
    } finally {
      // Whatever ended the source, what it gave is kept; a disk that failed is the better reason.
      await batches.end()
    }
  }

  /** unavailable on a full disk, and then even a resumable one gives its space back. */
  async #write(pieces: readonly Uint8Array[], bytes: number): Promise<void> {
    try {
      const writing = this.#file.writev(pieces, this.#offset)
      // At the same time: the writing is another thread's.
      for (const piece of pieces) this.#hash.update(piece)
      const { bytesWritten } = await writing
      if (bytesWritten < bytes) await this.#writeRest(Buffer.concat(pieces).subarray(bytesWritten), bytesWritten)
      this.#offset += bytes
    } catch (error) {
      if (!isNoSpace(error)) throw error
      await this.#file.truncate(0)
      await this.discard()
      throw noSpace('storing a blob', error)
    }
  }

  /** A disk that is nearly full takes a part. */
  async #writeRest(rest: Uint8Array, before: number): Promise<void> {
    for (let written = 0; written < rest.byteLength; ) {
      const left = rest.byteLength - written
      const { bytesWritten } = await this.#file.write(rest, written, left, this.#offset + before + written)
      written += bytesWritten
    }
  }

  /** Starts again from nothing. */
  async reset(): Promise<void> {
    await this.#file.truncate(0)
    this.#hash = newHash()
    this.#offset = 0
  }

  /**
   * Checks, makes durable and moves to `target(digest)`. `onDigest` runs before the blob can be seen under its name: the
   * place to protect it from collection. A wrong size or digest throws invalid and deletes the file.
   */
  async commit(
    expected: Expected,
    target: (digest: Digest) => string,
    onDigest?: (digest: Digest) => void,
  ): Promise<{ digest: Digest; size: number }> {
    const digest = digestOf(this.#hash.copy())
    const size = this.#offset
    const wrong =
      expected.size !== undefined && expected.size !== size
        ? `has ${size} bytes instead of ${expected.size}`
        : expected.digest !== undefined && expected.digest !== digest
          ? `has digest ${digest}`
          : undefined
    if (wrong !== undefined) {
      await this.discard()
      throw new EngineError('invalid', `blob ${expected.digest ?? digest} ${wrong}`)
    }
    await this.#file.sync()
    onDigest?.(digest)
    const path = target(digest)
    await rename(this.#path, path)
    this.#done = true
    await syncDirectory(dirname(path))
    return { digest, size }
  }

  async discard(): Promise<void> {
    this.#done = true
    await rm(this.#path, { force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
    if (!this.#done && !this.#resumable) await this.discard()
  }
}

/** Makes names in the directory durable; fsync(2): syncing a file does not sync its directory entry. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  await directory.sync()
}
