/**
 * Reads tar (POSIX.1-2001 pax, ustar, GNU long names) as it comes, without waiting: bytes in, calls out. Names, link
 * targets and attributes stay bytes (latin1 text, one character per byte), because file names need not be UTF-8 and
 * `security.capability` never is.
 */
import { EngineError } from '../base/errors.ts'
import type { FileTime } from '../kernel/paths.ffi.ts'
import type { ByteName } from '../snapshots/tree.ts'

export type TarType = 'file' | 'link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo'

export type TarEntry = {
  /** As it stands in the archive: unchecked. */
  name: ByteName
  type: TarType
  /** Permissions with set-id and sticky bits. */
  mode: number
  uid: number
  gid: number
  size: number
  modified: FileTime
  linkName: ByteName
  deviceMajor: number
  deviceMinor: number
  /** Extended attributes (`SCHILY.xattr.*`), values as bytes. */
  attributes: ReadonlyMap<string, Buffer>
}

/** `data` comes only for files, between their `entry` and `end`; `end` comes for every entry. */
export type TarHandler = {
  entry(entry: TarEntry): void
  data(chunk: Buffer): void
  end(): void
}

const block = 512
/** No pax header or long name of an honest archive comes near it. */
const longestExtension = 1 << 20

const types: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
}

const broken = (why: string): EngineError => new EngineError('invalid', `the archive is not a valid tar: ${why}`)

function text(header: Buffer, at: number, length: number): ByteName {
  const end = header.indexOf(0, at)
  return header.toString('latin1', at, end === -1 || end > at + length ? at + length : end)
}

/** Octal digits, or base 256 with the high bit of the first byte set (GNU). */
function number(header: Buffer, at: number, length: number): number {
  const first = header[at]!
  if ((first & 0x80) !== 0) {
    let value = first === 0xff ? -1n : BigInt(first & 0x7f)
    for (let index = at + 1; index < at + length; index += 1) value = value * 256n + BigInt(header[index]!)
    return Number(value)
  }
  const digits = text(header, at, length).trim()
  if (digits === '') return 0
  if (!/^[0-7]+$/.test(digits)) throw broken(`${JSON.stringify(digits)} is not an octal number`)
  return Number.parseInt(digits, 8)
}

/** The sum of all bytes, those of the checksum field counted as spaces; early tar summed signed bytes. */
function checksumMatches(header: Buffer): boolean {
  let sum = 8 * 32
  let signed = 8 * 32
  for (let index = 0; index < block; index += 1) {
    if (index >= 148 && index < 156) continue
    const byte = header[index]!
    sum += byte
    signed += byte > 127 ? byte - 256 : byte
  }
  const digits = text(header, 148, 8).trim()
  const expected = /^[0-7]{1,7}$/.test(digits) ? Number.parseInt(digits, 8) : -1
  return expected === sum || expected === signed
}

function isZero(header: Buffer): boolean {
  for (let index = 0; index < block; index += 1) if (header[index] !== 0) return false
  return true
}

type Records = Map<string, Buffer>

/** `LENGTH KEY=VALUE\n` records; pax(1), "pax Extended Header". */
function paxRecords(body: Buffer): Records {
  const records: Records = new Map()
  let at = 0
  while (at < body.length) {
    const space = body.indexOf(32, at)
    const digits = space === -1 ? '' : body.toString('latin1', at, space)
    const end = at + Number(digits)
    const equals = body.indexOf(61, space)
    if (!/^\d{1,7}$/.test(digits) || end > body.length || equals === -1 || equals >= end || body[end - 1] !== 10)
      throw broken('a pax header is damaged')
    records.set(body.toString('latin1', space + 1, equals), body.subarray(equals + 1, end - 1))
    at = end
  }
  return records
}

function paxTime(value: string): FileTime {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(value)
  if (match === null) throw broken(`${JSON.stringify(value)} is not a time`)
  const nanoseconds = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'))
  const seconds = Number(match[2])
  if (match[1] === '') return { seconds, nanoseconds }
  return nanoseconds === 0
    ? { seconds: -seconds, nanoseconds: 0 }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds }
}

function paxNumber(records: Records, key: string, otherwise: number): number {
  const value = records.get(key)?.toString('latin1')
  if (value === undefined || value === '') return otherwise
  if (!/^\d{1,15}$/.test(value)) throw broken(`${key} is ${JSON.stringify(value)}`)
  return Number(value)
}

const attributePrefix = 'SCHILY.xattr.'
const noAttributes: ReadonlyMap<string, Buffer> = new Map()

function attributesOf(records: Records): ReadonlyMap<string, Buffer> {
  let found: Map<string, Buffer> | undefined
  for (const [key, value] of records) {
    if (!key.startsWith(attributePrefix)) continue
    found ??= new Map()
    found.set(Buffer.from(key.slice(attributePrefix.length), 'latin1').toString(), Buffer.from(value))
  }
  return found ?? noAttributes
}

const isUstar = (header: Buffer): boolean => header.toString('latin1', 257, 263) === 'ustar\0'

function entryOf(header: Buffer, records: Records, longName?: ByteName, longLink?: ByteName): TarEntry {
  const flag = String.fromCharCode(header[156]!)
  const prefix = isUstar(header) && header[345] !== 0 ? `${text(header, 345, 155)}/` : ''
  const name = records.get('path')?.toString('latin1') ?? longName ?? `${prefix}${text(header, 0, 100)}`
  const type = types[flag]
  if (type === undefined || [...records.keys()].some((key) => key.startsWith('GNU.sparse.')))
    throw broken(
      `${JSON.stringify(name)} is of kind ${type === undefined ? JSON.stringify(flag) : 'sparse'}, which layers don't have`,
    )
  const time = records.get('mtime')?.toString('latin1')
  const size = paxNumber(records, 'size', number(header, 124, 12))
  const entry: TarEntry = {
    name,
    // Archives older than POSIX mark a directory by the slash alone.
    type: type === 'file' && name.endsWith('/') ? 'directory' : type,
    mode: number(header, 100, 8) & 0o7777,
    uid: paxNumber(records, 'uid', number(header, 108, 8)),
    gid: paxNumber(records, 'gid', number(header, 116, 8)),
    size,
    modified: time === undefined ? { seconds: number(header, 136, 12), nanoseconds: 0 } : paxTime(time),
    linkName: records.get('linkpath')?.toString('latin1') ?? longLink ?? text(header, 157, 100),
    deviceMajor: type === 'character' || type === 'block' ? number(header, 329, 8) : 0,
    deviceMinor: type === 'character' || type === 'block' ? number(header, 337, 8) : 0,
    attributes: attributesOf(records),
  }
  if (!Number.isSafeInteger(size) || size < 0) throw broken(`${JSON.stringify(name)} has the size ${size}`)
  if (![entry.uid, entry.gid].every((id) => Number.isInteger(id) && id >= 0 && id < 0xffffffff))
    throw broken(`${JSON.stringify(name)} belongs to ${entry.uid}:${entry.gid}`)
  if (!Number.isSafeInteger(entry.modified.seconds)) throw broken(`${JSON.stringify(name)} has no valid time`)
  return entry
}

type State = 'header' | 'extension' | 'data' | 'ended'

export class TarReader {
  readonly #handler: TarHandler
  #state: State = 'header'
  #header = Buffer.alloc(block)
  #filled = 0
  #left = 0
  #padding = 0
  #extension: Buffer[] = []
  #extensionKind = ''
  #global: Records = new Map()
  #records: Records = new Map()
  #longName: ByteName | undefined
  #longLink: ByteName | undefined

  constructor(handler: TarHandler) {
    this.#handler = handler
  }

  /** Takes the next bytes; everything that they complete is handed on before it returns. */
  write(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#state === 'ended') return
      at = this.#state === 'header' ? this.#takeHeader(chunk, at) : this.#takeBody(chunk, at)
    }
  }

  /** No more bytes. An archive may end at any header, but not inside of anything. */
  finish(): void {
    if (this.#state === 'ended' || (this.#state === 'header' && this.#filled === 0 && this.#extensionKind === ''))
      return
    throw broken('it ends in the middle of an entry')
  }

  #takeHeader(chunk: Buffer, at: number): number {
    if (this.#filled === 0 && chunk.length - at >= block) {
      this.#parse(chunk.subarray(at, at + block))
      return at + block
    }
    const taken = chunk.copy(this.#header, this.#filled, at, Math.min(chunk.length, at + block - this.#filled))
    this.#filled += taken
    if (this.#filled === block) {
      this.#filled = 0
      this.#parse(this.#header)
    }
    return at + taken
  }

  #parse(header: Buffer): void {
    if (header[0] === 0 && isZero(header)) {
      this.#state = 'ended'
      return
    }
    if (!checksumMatches(header)) throw broken('the checksum of a header is wrong')
    const flag = String.fromCharCode(header[156]!)
    if ('xgLK'.includes(flag)) {
      this.#expect('extension', number(header, 124, 12))
      if (!(this.#left > 0 && this.#left <= longestExtension)) throw broken(`an extended header of ${this.#left} bytes`)
      this.#extensionKind = flag
      this.#extension = []
      return
    }
    const records = this.#global.size === 0 ? this.#records : new Map([...this.#global, ...this.#records])
    const entry = entryOf(header, records, this.#longName, this.#longLink)
    this.#records = new Map()
    this.#longName = undefined
    this.#longLink = undefined
    this.#extensionKind = ''
    this.#handler.entry(entry)
    // Only files have contents: a size of anything else means nothing, as Go's reader has it.
    this.#expect('data', entry.type === 'file' ? entry.size : 0)
    if (this.#left === 0) this.#endEntry()
  }

  #expect(state: State, size: number): void {
    this.#state = state
    this.#left = size
    this.#padding = (block - (size % block)) % block
  }

  #endEntry(): void {
    this.#state = 'header'
    this.#handler.end()
  }

  #takeBody(chunk: Buffer, at: number): number {
    if (this.#left > 0) {
      const end = Math.min(chunk.length, at + this.#left)
      this.#left -= end - at
      if (this.#state === 'data') this.#handler.data(chunk.subarray(at, end))
      else this.#extension.push(Buffer.from(chunk.subarray(at, end)))
      if (this.#left > 0 || this.#padding > 0) return end
      this.#endBody()
      return end
    }
    const taken = Math.min(chunk.length - at, this.#padding)
    this.#padding -= taken
    if (this.#padding === 0) this.#endBody()
    return at + taken
  }

  #endBody(): void {
    if (this.#state !== 'extension') {
      this.#endEntry()
      return
    }
    this.#state = 'header'
    const body = Buffer.concat(this.#extension)
    if (this.#extensionKind === 'x') this.#records = paxRecords(body)
    else if (this.#extensionKind === 'g') this.#global = new Map([...this.#global, ...paxRecords(body)])
    else if (this.#extensionKind === 'L') this.#longName = text(body, 0, body.length)
    else this.#longLink = text(body, 0, body.length)
    // A global header alone may be the last thing of an archive.
    if (this.#extensionKind === 'g') this.#extensionKind = ''
  }
}
