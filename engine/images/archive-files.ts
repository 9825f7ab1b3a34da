/**
 * The files of an image archive, taken in one pass in whatever order they come: each becomes a blob of the store,
 * small ones are kept to be read as JSON. Nothing is written under a name that the archive chose.
 */

import { posix } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract, type Header } from 'tar-stream'
import { EngineError, messageOf } from '../base/errors.ts'
import { parseJson } from './bounded-json.ts'
import { decompressed } from './decompress.ts'
import type { ImageDepot } from './depot.ts'
import type { Digest } from './digest.ts'
import { entryPath } from './entry-path.ts'
import type { Lease } from './leases.ts'
import type { UnpackLimits } from './transfers.ts'

export type StoredFile = { digest: Digest; size: number }

/** An image of 500 layers has some 2,000; more is no image archive. */
const mostFiles = 100_000

/** Links to follow before it is a loop. */
const mostLinks = 8

export class ArchiveFiles {
  readonly #depot: ImageDepot
  readonly #files = new Map<string, StoredFile>()
  readonly #links = new Map<string, string>()

  private constructor(depot: ImageDepot) {
    this.#depot = depot
  }

  /** Reads the archive to its end; the lease holds all of it. invalid for what is damaged, or too much. */
  static async read(
    depot: ImageDepot,
    lease: Lease,
    archive: Readable,
    limits: UnpackLimits,
    signal: AbortSignal | undefined,
  ): Promise<ArchiveFiles> {
    const files = new ArchiveFiles(depot)
    const parser = extract()
    const fed = pipeline(decompressed(archive, { signal }), parser)
    // Whoever fails first is reported: the loop below ends as soon as the parser is destroyed.
    const failed = fed.then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    try {
      let left = limits.maxBytes
      for await (const entry of parser) {
        left -= entry.header.size ?? 0
        if (left < 0) throw new EngineError('invalid', `the archive holds more than ${limits.maxBytes} bytes`)
        // The declared type of the stream knows nothing of its pieces.
        await files.#take(entry.header, entry as AsyncIterable<Uint8Array>, lease, signal)
        entry.resume()
      }
    } catch (error) {
      parser.destroy()
      throw readFailure((await failed)?.error ?? error, error)
    }
    const failure = await failed
    if (failure !== undefined) throw readFailure(failure.error, failure.error)
    return files
  }

  async #take(
    { name, type, linkname, size }: Header,
    contents: AsyncIterable<Uint8Array>,
    lease: Lease,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (this.#files.size + this.#links.size >= mostFiles)
      throw new EngineError('invalid', `the archive has more than ${mostFiles} files: it is no image`)
    const path = entryPath(Buffer.from(name).toString('latin1'))
    if (type === 'file' || type === 'contiguous-file') {
      const stored = await lease.write(this.#depot.content, contents, { size: size ?? 0 }, signal)
      this.#files.set(path, stored)
      return
    }
    // Old archives name a layer that is there twice by a link.
    if (type === 'symlink') this.#links.set(path, posix.join(posix.dirname(path), linkname ?? ''))
    else if (type === 'link') this.#links.set(path, entryPath(Buffer.from(linkname ?? '').toString('latin1')))
  }

  has(path: string): boolean {
    return this.#find(path) !== undefined
  }

  #find(path: string): StoredFile | undefined {
    let at = posix.normalize(path)
    for (let links = 0; links < mostLinks; links += 1) {
      const found = this.#files.get(at)
      if (found !== undefined) return found
      const next = this.#links.get(at)
      if (next === undefined) return undefined
      at = next
    }
    return undefined
  }

  /** invalid where the archive has no such file. */
  get(path: string): StoredFile {
    const found = this.#find(path)
    if (found === undefined)
      throw new EngineError('invalid', `the archive is incomplete: it has no file ${JSON.stringify(path)}`)
    return found
  }

  async bytes(path: string): Promise<Buffer> {
    return await this.#depot.content.readBytes(this.get(path).digest)
  }

  async json(path: string): Promise<unknown> {
    return parseJson(await this.bytes(path), `${path} of the archive`)
  }
}

function readFailure(cause: unknown, shown: unknown): unknown {
  const error = shown instanceof EngineError ? shown : cause
  if (error instanceof EngineError || !(error instanceof Error)) return error
  if (error.name === 'AbortError' && !('code' in error)) return error
  if (/Invalid tar header|Unexpected end of data|Header exceeds|Invalid header/.test(error.message))
    return new EngineError('invalid', `the archive is not a valid tar: ${messageOf(error)}`, { cause: error })
  return error
}
