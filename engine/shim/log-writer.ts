/**
 * The json-file log: one `{"log":…,"stream":…,"time":…}` a line, rotated by size; wire fact 99. This loop sees all that a
 * container prints: a line that needs no escape goes from the buffer it was read into to the file, and is neither copied
 * nor made a string.
 */
import { isUtf8 } from 'node:buffer'
import { closeSync, fstatSync, openSync, renameSync, rmSync } from 'node:fs'
import { timestamp } from '../base/time.ts'
import { Gather, PieceSource } from '../kernel/gather.ffi.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import type { LogConfig, LogPosition } from './shim.ts'

export type LogStream = 'stdout' | 'stderr'

/** A longer line is written in pieces of this size, all but the last without a newline. */
export const longestPiece = 16384

const newline = 0x0a
const quote = 0x22
const backslash = 0x5c
const hex = Buffer.from('0123456789abcdef')
/** One input byte becomes at most six: \u001b. */
const longestEscaped = longestPiece * 6
/** A time, and the signs around it. */
const roomForTime = 64

/** The start of an unfinished line. */
type Pending = { bytes: Buffer; length: number; time: string }

/** What ends a line of the file and begins the next one: at one time, in #out. */
type Seam = { time: string; from: number; length: number }

const prefix = Buffer.from('{"log":"')
const prefixSource = new PieceSource(prefix)
/** The line's own newline, escaped, with which a seam begins. */
const escapedNewline = 2
/** A piece, and what closes it. */
const roomForLine = 3

export class LogWriter implements Disposable {
  readonly #config: LogConfig
  readonly #gather = new Gather()
  /** What is not written from where it was read: seams, and pieces with escapes. */
  readonly #out: PieceSource
  /** #out is begun anew before it has less than this. */
  readonly #reserve: number
  readonly #suffix: Record<LogStream, string>
  #seams: Partial<Record<LogStream, Seam>> = {}
  readonly #pending: Partial<Record<LogStream, Pending>> = {}
  #source: PieceSource | undefined
  #fd: number
  #written: number
  /** Bytes used of #out. */
  #at = 0
  /** Whether the last piece ends with the prefix of a line that has not come yet. */
  #begun = false

  constructor(config: LogConfig) {
    this.#config = config
    const attributes = config.attributes === undefined ? '' : `"attrs":${JSON.stringify(config.attributes)},`
    this.#suffix = {
      stdout: `","stream":"stdout",${attributes}"time":"`,
      stderr: `","stream":"stderr",${attributes}"time":"`,
    }
    this.#reserve = longestEscaped + Buffer.byteLength(this.#suffix.stdout) + roomForTime
    this.#out = new PieceSource(Buffer.allocUnsafeSlow(2 * this.#reserve))
    this.#fd = openSync(config.path, 'a', 0o640)
    this.#written = fstatSync(this.#fd).size
  }

  /** Takes what was read from one of the container's outputs. Complete lines are in the file when it returns. */
  write(stream: LogStream, data: Buffer, length: number): void {
    const time = timestamp()
    let start = this.#finishPending(stream, data, length, time)
    while (start < length) {
      const special = plainUntil(data, start, length)
      if (special === length) break
      if (data[special] === newline && special - start < longestPiece) {
        this.#plainLine(stream, data, start, special, time)
        start = special + 1
        continue
      }
      const end = data.indexOf(newline, special)
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

  /** Where the file ends that is written to. What is not in it yet is `unfinished`. */
  position(): LogPosition {
    return { inode: fstatSync(this.#fd).ino, offset: this.#written }
  }

  /** The start of a line whose end has not come. */
  unfinished(stream: LogStream): Buffer {
    const pending = this.#pending[stream]
    return pending === undefined ? Buffer.alloc(0) : pending.bytes.subarray(0, pending.length)
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

  /** Precondition: no byte of it needs an escape, and `data` stays as it is until the flush. */
  #plainLine(stream: LogStream, data: Buffer, from: number, to: number, time: string): void {
    this.#makeRoom()
    if (this.#source?.buffer !== data) this.#source = new PieceSource(data)
    if (!this.#begun) this.#gather.add(prefixSource, 0, prefix.length)
    this.#gather.add(this.#source, from, to - from)
    this.#close(stream, time, true)
  }

  #piece(stream: LogStream, data: Buffer, from: number, to: number, how: { time: string; ended: boolean }): void {
    this.#makeRoom()
    if (!this.#begun) this.#gather.add(prefixSource, 0, prefix.length)
    const out = this.#out.buffer
    let end = escapeInto(out, this.#at, data, from, to)
    if (end < 0) {
      const repaired = Buffer.from(data.toString('utf8', from, to))
      end = escapeInto(out, this.#at, repaired, 0, repaired.length)
    }
    this.#gather.add(this.#out, this.#at, end - this.#at)
    this.#at = end
    this.#close(stream, how.time, how.ended)
  }

  #makeRoom(): void {
    if (this.#gather.room < roomForLine || this.#at > this.#out.buffer.length - this.#reserve) this.#flush()
    const { maxSize } = this.#config
    if (maxSize > 0 && this.#written + this.#gather.bytes - (this.#begun ? prefix.length : 0) >= maxSize) this.#rotate()
  }

  /** Ends a line of the file; the next one is begun along with it. */
  #close(stream: LogStream, time: string, ended: boolean): void {
    let seam = this.#seams[stream]
    if (seam?.time !== time) {
      const text = `\\n${this.#suffix[stream]}${time}"}\n${prefix}`
      seam = { time, from: this.#at, length: this.#out.buffer.write(text, this.#at) }
      this.#at += seam.length
      this.#seams[stream] = seam
    }
    const skipped = ended ? 0 : escapedNewline
    this.#gather.add(this.#out, seam.from + skipped, seam.length - skipped)
    this.#begun = true
  }

  /** A full disk costs log lines, never the container: what cannot be written is dropped. */
  #flush(): void {
    if (this.#begun) this.#gather.shorten(prefix.length)
    this.#begun = false
    const { bytes } = this.#gather
    try {
      this.#gather.write(this.#fd)
      this.#written += bytes
    } catch (error) {
      if (!isErrno(error, 'ENOSPC', 'EDQUOT', 'EFBIG', 'EIO')) throw error
    } finally {
      this.#at = 0
      this.#seams = {}
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

/** Where the first byte is that needs a look: an escape, a newline, or the start of something beyond ASCII. */
function plainUntil(data: Buffer, from: number, to: number): number {
  let index = from
  while (index + 8 <= to && eightArePlain(data, index)) index += 8
  while (index < to && kinds[data[index]!] === plain) index += 1
  return index
}

/** One branch for eight bytes: nearly half the time of one for each. */
const eightArePlain = (data: Buffer, at: number): boolean =>
  (kinds[data[at]!]! |
    kinds[data[at + 1]!]! |
    kinds[data[at + 2]!]! |
    kinds[data[at + 3]!]! |
    kinds[data[at + 4]!]! |
    kinds[data[at + 5]!]! |
    kinds[data[at + 6]!]! |
    kinds[data[at + 7]!]!) ===
  plain

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
