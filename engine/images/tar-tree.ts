/** A directory tree as tar, read by descriptor: whoever may be changing it cannot lead the reader out of it. */
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import {
  attributeAt,
  attributesAt,
  type FileStatus,
  fileTypes,
  openFlags,
  readLinkAt,
  statusAt,
  statusOf,
  tryOpenAt,
} from '../kernel/paths.ffi.ts'
import { type ByteName, namesIn, rawName } from '../snapshots/tree.ts'
import { shown } from './entry-path.ts'
import type { TarEntry, TarType } from './tar-reader.ts'
import { padding, tarEnd, tarHeader } from './tar-writer.ts'

/** One thing found in a tree. `directory` is open as long as the caller holds the walk there. */
export type Found = { path: string; directory: number; name: ByteName; status: FileStatus }

const childDirectory = openFlags.O_RDONLY | openFlags.O_DIRECTORY | openFlags.O_NOFOLLOW

/**
 * Everything below an open directory, parents first, names in byte order. What vanishes meanwhile is left out.
 *
 * @param prefix put before each path
 */
export function* walk(directory: number, prefix = ''): Generator<Found> {
  for (const name of namesIn(directory).sort()) {
    const status = statusAt(directory, rawName(name))
    if (status === undefined) continue
    const path = prefix === '' ? name : `${prefix}/${name}`
    if (path.length > 4095)
      throw new EngineError('invalid', `the path of ${shown(path.slice(-64))} is too long for an archive`)
    yield { path, directory, name, status }
    if (typeOf(status) !== 'directory') continue
    const inner = tryOpenAt(directory, rawName(name), { flags: childDirectory })
    if (inner < 0) continue
    try {
      yield* walk(inner, path)
    } finally {
      closeSync(inner)
    }
  }
}

/** undefined for sockets: they mean nothing without their process, and tar has no such kind. */
export function typeOf({ mode }: FileStatus): TarType | undefined {
  switch (mode & fileTypes.S_IFMT) {
    case fileTypes.S_IFREG:
      return 'file'
    case fileTypes.S_IFDIR:
      return 'directory'
    case fileTypes.S_IFLNK:
      return 'symlink'
    case fileTypes.S_IFCHR:
      return 'character'
    case fileTypes.S_IFBLK:
      return 'block'
    case fileTypes.S_IFIFO:
      return 'fifo'
    default:
      return undefined
  }
}

/** Attributes that belong to the overlay or to this machine's security module, not to the file. */
const foreign = /^(trusted\.|user\.overlay\.|security\.(?!capability$)|system\.)/

/** The file's entry, without following links. `path` is what it is called in the archive. */
export function entryOf(found: Found, path: ByteName, type: TarType): TarEntry {
  const { directory, name, status } = found
  const attributes = new Map<string, Buffer>()
  for (const attribute of attributesAt(directory, rawName(name))) {
    if (foreign.test(attribute)) continue
    const value = attributeAt(directory, rawName(name), attribute)
    if (value !== undefined) attributes.set(attribute, value)
  }
  return {
    name: path,
    type,
    mode: status.mode & 0o7777,
    uid: status.uid,
    gid: status.gid,
    size: type === 'file' ? status.size : 0,
    modified: status.modified,
    linkName: type === 'symlink' ? readLinkAt(directory, rawName(name)).toString('latin1') : '',
    deviceMajor: status.deviceMajor,
    deviceMinor: status.deviceMinor,
    attributes,
  }
}

const pieceSize = 256 * 1024

/**
 * The file for reading, or -1 when it has gone, or something else has its name now. It is looked at before it is opened: to
 * open a device does something already, and a container may make one of any number, with the inode that its file had.
 */
function openFile({ directory, name, status }: Found): number {
  const place = tryOpenAt(directory, rawName(name), { flags: openFlags.O_PATH | openFlags.O_NOFOLLOW })
  if (place < 0) return -1
  try {
    const found = statusOf(place)
    if (typeOf(found) !== 'file' || found.inode !== status.inode || found.fileSystem !== status.fileSystem) return -1
    return openSync(`/proc/self/fd/${place}`, constants.O_RDONLY)
  } finally {
    closeSync(place)
  }
}

/** Exactly `size` bytes, as the header promised: a file that shrinks meanwhile is filled up with zeros. */
function* contentsOf(file: number, size: number): Generator<Buffer> {
  for (let left = size; left > 0; ) {
    const piece = Buffer.allocUnsafe(Math.min(pieceSize, left))
    const length = readSync(file, piece)
    if (length === 0) piece.fill(0)
    const used = length === 0 ? piece.length : length
    left -= used
    yield piece.subarray(0, used)
  }
}

/** Files with several names that an archive has already, by inode: the name it has them under. */
export type LinkBook = Map<string, string>

/**
 * One found thing as tar, in pieces; a file that the archive has under another name becomes a hard link to that. Each
 * piece is handed on before the next is read, so the consumer sets the pace. What has vanished is left out.
 */
export function* tarPieces(found: Found, path: ByteName, book: LinkBook): Generator<Buffer> {
  const type = typeOf(found.status)
  if (type === undefined) return
  const { links, inode, fileSystem } = found.status
  const key = type !== 'directory' && links > 1 ? `${fileSystem} ${inode}` : undefined
  const before = key === undefined ? undefined : book.get(key)
  const entry = entryIfThere(found, path, before === undefined ? type : 'link')
  if (entry === undefined) return
  if (before !== undefined) yield tarHeader({ ...entry, linkName: before })
  else if (type !== 'file' || entry.size === 0) yield tarHeader(entry)
  else yield* filePieces(found, entry)
  if (key !== undefined && before === undefined) book.set(key, path)
}

function entryIfThere(found: Found, path: ByteName, type: TarType): TarEntry | undefined {
  try {
    return entryOf(found, path, type)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function* filePieces(found: Found, entry: TarEntry): Generator<Buffer> {
  const file = openFile(found)
  if (file < 0) return
  try {
    yield tarHeader(entry)
    yield* contentsOf(file, entry.size)
    yield padding(entry.size)
  } finally {
    closeSync(file)
  }
}

/** Gathers small pieces and lets other events in between: a stream that takes its time. */
export async function* paced(pieces: Iterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer[] = []
  let length = 0
  for (const piece of pieces) {
    held.push(piece)
    length += piece.length
    if (length < pieceSize) continue
    yield Buffer.concat(held)
    held = []
    length = 0
    await setImmediate()
  }
  if (length > 0) yield Buffer.concat(held)
}

/** A whole tree as an archive, for docker export. `root` stays the caller's. */
export function* archiveTree(root: number): Generator<Buffer> {
  const book: LinkBook = new Map()
  for (const found of walk(root)) yield* tarPieces(found, found.path, book)
  yield tarEnd
}
