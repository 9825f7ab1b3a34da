/**
 * Tar headers: ustar, with a pax header in front where ustar is too small (long or non-ASCII names, nanoseconds,
 * attributes, large numbers). Pure: values to bytes. The same values give the same bytes, so a digest of an archive
 * says something about its contents.
 */
import type { TarEntry, TarType } from './tar-reader.ts'

const block = 512

const flags: Readonly<Record<TarType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
}

/** The largest number of a ustar field of 8 and of 12 bytes: 7 and 11 octal digits. */
const largestShort = 0o7777777
const largestLong = 0o77777777777

const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`

/** A pax record counts its own length, whose digits are part of it. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'utf8'), value, Buffer.from('\n')])
  let length = rest.length + String(rest.length).length
  if (String(length).length > String(rest.length).length) length += 1
  return Buffer.concat([Buffer.from(String(length)), rest])
}

function paxOf(entry: TarEntry): Buffer {
  const records: Buffer[] = []
  const add = (key: string, value: string | Buffer): void => {
    records.push(paxRecord(key, typeof value === 'string' ? Buffer.from(value, 'latin1') : value))
  }
  if (!fitsField(entry.name)) add('path', entry.name)
  if (!fitsField(entry.linkName)) add('linkpath', entry.linkName)
  if (entry.size > largestLong) add('size', String(entry.size))
  if (entry.uid > largestShort) add('uid', String(entry.uid))
  if (entry.gid > largestShort) add('gid', String(entry.gid))
  const { seconds, nanoseconds } = entry.modified
  if (nanoseconds !== 0 || seconds < 0 || seconds > largestLong) add('mtime', paxTime(seconds, nanoseconds))
  for (const key of [...entry.attributes.keys()].sort()) add(`SCHILY.xattr.${key}`, entry.attributes.get(key)!)
  return Buffer.concat(records)
}

/** Decimal; a time before 1970 counts its fraction downwards. */
function paxTime(seconds: number, nanoseconds: number): string {
  if (nanoseconds === 0) return String(seconds)
  const [whole, fraction] = seconds < 0 ? [-seconds - 1, 1e9 - nanoseconds] : [seconds, nanoseconds]
  return `${seconds < 0 ? '-' : ''}${whole}.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`
}

const fitsField = (name: string): boolean => name.length <= 100 && !/[^ -~]/.test(name)

function header(entry: TarEntry, flag: string): Buffer {
  const bytes = Buffer.alloc(block)
  const short = (value: number): number => (value > largestShort ? 0 : value)
  bytes.write(entry.name.slice(0, 100), 0, 'latin1')
  bytes.write(octal(entry.mode & 0o7777, 8), 100)
  bytes.write(octal(short(entry.uid), 8), 108)
  bytes.write(octal(short(entry.gid), 8), 116)
  bytes.write(octal(entry.size > largestLong ? 0 : entry.size, 12), 124)
  const { seconds } = entry.modified
  bytes.write(octal(seconds < 0 || seconds > largestLong ? 0 : seconds, 12), 136)
  bytes.write('        ', 148)
  bytes.write(flag, 156)
  bytes.write(entry.linkName.slice(0, 100), 157, 'latin1')
  bytes.write('ustar\x0000', 257, 'latin1')
  bytes.write(octal(short(entry.deviceMajor), 8), 329)
  bytes.write(octal(short(entry.deviceMinor), 8), 337)
  let sum = 0
  for (const byte of bytes) sum += byte
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return bytes
}

/** Zeros up to the next whole block. */
export const padding = (size: number): Buffer => Buffer.alloc((block - (size % block)) % block)

/** What stands in front of an entry's contents. Directories' names get their slash. */
export function tarHeader(given: TarEntry): Buffer {
  const name = given.type === 'directory' && !given.name.endsWith('/') ? `${given.name}/` : given.name
  const entry = { ...given, name, size: given.type === 'file' ? given.size : 0 }
  const pax = paxOf(entry)
  if (pax.length === 0) return header(entry, flags[entry.type])
  const extension = header(
    { ...entry, type: 'file', name: 'PaxHeaders/0', linkName: '', mode: 0o644, uid: 0, gid: 0, size: pax.length },
    'x',
  )
  return Buffer.concat([extension, pax, padding(pax.length), header(entry, flags[entry.type])])
}

/** Two empty blocks end an archive. */
export const tarEnd: Buffer = Buffer.alloc(2 * block)

/** An entry without contents or attributes, owned by root, of 1970: what a caller changes. */
export const plainEntry = (name: string, type: TarType, mode: number): TarEntry => ({
  name,
  type,
  mode,
  uid: 0,
  gid: 0,
  size: 0,
  modified: { seconds: 0, nanoseconds: 0 },
  linkName: '',
  deviceMajor: 0,
  deviceMinor: 0,
  attributes: new Map(),
})
