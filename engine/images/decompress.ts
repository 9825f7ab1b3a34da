/** Archives as they come over the wire: what they are is told by their first bytes, not by what somebody says they are. */
import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { EngineError, messageOf } from '../base/errors.ts'

export type Compression = 'none' | 'gzip' | 'zstd'

const magics: readonly { bytes: readonly number[]; kind: Compression | 'bzip2' | 'xz' }[] = [
  { bytes: [0x1f, 0x8b], kind: 'gzip' },
  { bytes: [0x28, 0xb5, 0x2f, 0xfd], kind: 'zstd' },
  { bytes: [0x42, 0x5a, 0x68], kind: 'bzip2' },
  { bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], kind: 'xz' },
]

/** By the first bytes (six suffice). Throws invalid for forms that cannot be read. */
export function compressionOf(start: Uint8Array): Compression {
  const kind = magics.find(({ bytes }) => bytes.every((byte, index) => start[index] === byte))?.kind ?? 'none'
  if (kind === 'bzip2' || kind === 'xz')
    throw new EngineError('invalid', `the archive is compressed with ${kind}: use gzip, zstd or no compression`)
  return kind
}

/**
 * Each piece is a trip to the thread pool and back, but with larger ones the two threads wait for each other as soon as
 * the machine has something else to do, too; the processor time is the same.
 */
const pieceSize = 256 * 1024

/** What is ahead of the reader: with one piece, the two threads would take turns instead of working at the same time. */
const settings = { chunkSize: pieceSize, readableHighWaterMark: 8 * pieceSize }

const decompressor = (kind: Exclude<Compression, 'none'>): Transform =>
  kind === 'gzip' ? createGunzip(settings) : createZstdDecompress(settings)

export type ReadOptions = {
  signal?: AbortSignal | undefined
  /** Told how many bytes, still compressed, have been taken from the source. */
  onRead?: ((bytes: number) => void) | undefined
}

/** The source's bytes, decompressed. Its own failures come out as they are; a damaged stream is invalid. */
export async function* decompressed(source: AsyncIterable<Buffer>, options: ReadOptions = {}): AsyncGenerator<Buffer> {
  const input = read(source, options)
  try {
    const start = await firstBytes(input)
    const kind = compressionOf(start)
    if (kind === 'none') {
      yield start
      yield* input
    } else yield* through(decompressor(kind), prepend(start, input), kind)
  } finally {
    await input.return(undefined)
    if (source instanceof Readable) source.destroy()
  }
}

async function* through(output: Transform, input: AsyncGenerator<Buffer>, kind: Compression): AsyncGenerator<Buffer> {
  // A failure of either side comes out of the loop below; here it is only kept from being unhandled.
  const fed = pipeline(input, output).catch(() => {})
  try {
    for await (const chunk of output as AsyncIterable<Buffer>) yield chunk
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (!/^(Z_|ZSTD_|ERR_ZSTD)/.test(code)) throw error
    throw new EngineError('invalid', `the archive's ${kind} data is damaged: ${messageOf(error)}`, { cause: error })
  } finally {
    output.destroy()
    await fed
  }
}

async function* read(source: AsyncIterable<Buffer>, options: ReadOptions): AsyncGenerator<Buffer> {
  let total = 0
  for await (const chunk of source) {
    options.signal?.throwIfAborted()
    total += chunk.length
    options.onRead?.(total)
    yield chunk
  }
}

/** Enough to tell the form, unless there is no more. */
async function firstBytes(input: AsyncGenerator<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = []
  for (let length = 0; length < 6; ) {
    const { value, done } = await input.next()
    if (done === true) break
    pieces.push(value)
    length += value.length
  }
  return Buffer.concat(pieces)
}

async function* prepend(start: Buffer, rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  yield start
  yield* rest
}
