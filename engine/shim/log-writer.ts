/**
 * The json-file log: one `{"log":…,"stream":…,"time":…}` a line, rotated by size; wire fact 99. Bytes go from the pipe's
 * buffer to the file's without becoming strings: this loop sees all that a container prints.
 */
import { isUtf8 } from 'node:buffer'
import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { timestamp } from '../base/time.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import type { LogConfig } from './shim.ts'

export type LogStream = 'stdout' | 'stderr'

/** A longer line is written in pieces of this size, all but the last without a newline. */
export const longestPiece = 16384

const newline = 0x0a
const quote = 0x22
const backslash = 0x5c
const hex = Buffer.from('0123456789abcdef')
/** One input byte becomes at most six (\u001b); plus prefix, suffix and attributes of a piece. */
const roomForPiece = longestPiece * 6 + 512
const bufferSize = 2 * roomForPiece

/** The start of an unfinished line. */
type Pending = { bytes: Buffer; length: number; time: string }

type Tail = { time: string; ended: Buffer; open: Buffer }

const prefix = Buffer.from('{"log":"')

export class LogWriter implements Disposable {
  readonly #config: LogConfig
  readonly #out: Buffer
  readonly #suffix: Record<LogStream, string>
  readonly #tails: Partial<Record<LogStream, Tail>> = {}
  readonly #pending: Partial<Record<LogStream, Pending>> = {}
  #fd: number
  #written: number
  #at = 0

  constructor(config: LogConfig) {
    this.#config = config
    const attributes = config.attributes === undefined ? '' : `"attrs":${JSON.stringify(config.attributes)},`
    this.#suffix = {
      stdout: `","stream":"stdout",${attributes}"time":"`,
      stderr: `","stream":"stderr",${attributes}"time":"`,
    }
    this.#out = Buffer.allocUnsafeSlow(bufferSize)
    this.#fd = openSync(config.path, 'a', 0o640)
    this.#written = fstatSync(this.#fd).size
  }

  /** Takes what was read from one of the container's outputs. Complete lines are in the file when it returns. */
  write(stream: LogStream, data: Buffer, length: number): void {
    const time = timestamp()
    let start = this.#finishPending(stream, data, length, time)
    while (start < length) {
      const end = data.indexOf(newline, start)
      if (end === -1 || end >= length) break
      this.#line(stream, data, start, end, time)
      start = end + 1
    }
    while (length - start >= longestPiece) {
      this.#piece(stream, data, start, start + longestPiece, { time, ended: false })
      start += longestPiece
    }
    if (start < length) this.#keep(stream, data, start, length, time)
    this.#flush()
  }

  /** What has no newline yet is written as it is: the stream has ended. */
  end(stream: LogStream): void {
    const pending = this.#pending[stream]
    if (pending !== undefined && pending.length > 0)
      this.#piece(stream, pending.bytes, 0, pending.length, { time: pending.time, ended: false })
    this.#pending[stream] = undefined as never
    this.#flush()
  }

  [Symbol.dispose](): void {
    this.end('stdout')
    this.end('stderr')
    closeSync(this.#fd)
  }

  /** A whole line, in pieces if it is long. */
  #line(stream: LogStream, data: Buffer, from: number, to: number, time: string): void {
    let start = from
    while (to - start >= longestPiece) {
      this.#piece(stream, data, start, start + longestPiece, { time, ended: false })
      start += longestPiece
    }
    this.#piece(stream, data, start, to, { time, ended: true })
  }

  /** Joins the kept start of a line with its rest; returns where the next line starts. */
  #finishPending(stream: LogStream, data: Buffer, length: number, time: string): number {
    const pending = this.#pending[stream]
    if (pending === undefined || pending.length === 0) return 0
    const found = data.indexOf(newline, 0)
    const end = found === -1 || found >= length ? length : found
    const taken = Math.min(end, longestPiece - pending.length)
    data.copy(pending.bytes, pending.length, 0, taken)
    pending.length += taken
    const ended = taken === end && end < length
    if (!ended && pending.length < longestPiece) return length
    this.#piece(stream, pending.bytes, 0, pending.length, { time: pending.time, ended })
    pending.length = 0
    pending.time = time
    return ended ? end + 1 : taken
  }

  #keep(stream: LogStream, data: Buffer, from: number, to: number, time: string): void {
    let pending = this.#pending[stream]
    if (pending === undefined) {
      pending = { bytes: Buffer.allocUnsafeSlow(longestPiece), length: 0, time }
      this.#pending[stream] = pending
    }
    if (pending.length === 0) pending.time = time
    data.copy(pending.bytes, pending.length, from, to)
    pending.length += to - from
  }

  #piece(stream: LogStream, data: Buffer, from: number, to: number, how: { time: string; ended: boolean }): void {
    if (this.#at > bufferSize - roomForPiece) this.#flush()
    if (this.#config.maxSize > 0 && this.#written + this.#at >= this.#config.maxSize) this.#rotate()
    const out = this.#out
    const start = this.#at + prefix.length
    for (let index = 0; index < prefix.length; index += 1) out[this.#at + index] = prefix[index]!
    let end = escapeInto(out, start, data, from, to)
    if (end < 0) {
      const repaired = Buffer.from(data.toString('utf8', from, to))
      end = escapeInto(out, start, repaired, 0, repaired.length)
    }
    end += this.#tail(stream, how).copy(out, end)
    this.#at = end
  }

  /** What ends a line of the file: the same for all lines that were read at once. */
  #tail(stream: LogStream, { time, ended }: { time: string; ended: boolean }): Buffer {
    const known = this.#tails[stream]
    if (known !== undefined && known.time === time) return ended ? known.ended : known.open
    const text = `${this.#suffix[stream]}${time}"}\n`
    const tail = { time, ended: Buffer.from(`\\n${text}`), open: Buffer.from(text) }
    this.#tails[stream] = tail
    return ended ? tail.ended : tail.open
  }

  /** A full disk costs log lines, never the container: what cannot be written is dropped. */
  #flush(): void {
    try {
      for (let sent = 0; sent < this.#at; ) sent += writeSync(this.#fd, this.#out, sent, this.#at - sent)
      this.#written += this.#at
    } catch (error) {
      if (!isErrno(error, 'ENOSPC', 'EDQUOT', 'EFBIG', 'EIO')) throw error
    } finally {
      this.#at = 0
    }
  }

  /** path → path.1 → path.2 …; the oldest goes. A kill between two renames leaves a gap in the numbers, not in the text. */
  #rotate(): void {
    this.#flush()
    const { path, maxFile } = this.#config
    rmSync(`${path}.${maxFile - 1}`, { force: true })
    for (let number = maxFile - 2; number >= 1; number -= 1) renameIfThere(`${path}.${number}`, `${path}.${number + 1}`)
    if (maxFile > 1) renameSync(path, `${path}.1`)
    else rmSync(path, { force: true })
    closeSync(this.#fd)
    this.#fd = openSync(path, 'a', 0o640)
    this.#written = 0
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

const plain = 0
const escaped = 1
const beyondAscii = 2

/** What a byte is to JSON: one look instead of four comparisons, for every byte that a container prints. */
const kinds = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte < 0x20 || byte === quote || byte === backslash) return escaped
  return byte < 0x80 ? plain : beyondAscii
})

/**
 * Copies with JSON's escapes, what needs none in one piece; returns the position after, or -1 where the bytes are not
 * UTF-8 and must be repaired first.
 */
export function escapeInto(out: Buffer, start: number, data: Buffer, from: number, to: number): number {
  let at = start
  let run = from
  let ascii = true
  for (let index = from; index < to; index += 1) {
    const kind = kinds[data[index]!]
    if (kind === plain) continue
    if (kind === beyondAscii) {
      ascii = false
      continue
    }
    if (run < index) at += data.copy(out, at, run, index)
    at = escapeByte(out, at, data[index]!)
    run = index + 1
  }
  if (run < to) at += data.copy(out, at, run, to)
  return ascii || isUtf8(data.subarray(from, to)) ? at : -1
}

function escapeByte(out: Buffer, at: number, byte: number): number {
  out[at] = backslash
  if (byte === quote || byte === backslash) out[at + 1] = byte
  else if (byte === 0x0d) out[at + 1] = 0x72
  else if (byte === 0x09) out[at + 1] = 0x74
  else {
    out.write('u00', at + 1, 'latin1')
    out[at + 4] = hex[byte >> 4]!
    out[at + 5] = hex[byte & 15]!
    return at + 6
  }
  return at + 2
}
