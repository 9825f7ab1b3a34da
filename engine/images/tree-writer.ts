/**
 * Writes the entries of an archive into a tree, by descriptor, at once (no promises: a layer has tens of thousands of
 * files, and the calls take microseconds). Owners, modes, times (ns), attributes, hard links, devices as the archive
 * says. With the rules of an image layer it also turns whiteouts into overlay's form.
 */
import { closeSync, writeSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { errnoName } from '../kernel/errno.table.ts'
import { isErrno, SyscallError } from '../kernel/libc.ffi.ts'
import {
  changeMode,
  changeModeOfPath,
  changeOwner,
  changeOwnerAt,
  type FileStatus,
  type FileTime,
  fileTypes,
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  openAt,
  openFlags,
  resolveFlags,
  setAttributeAt,
  setTimes,
  setTimesAt,
  statusAt,
  symlinkAt,
  tryOpenAt,
  unlinkAt,
} from '../kernel/paths.ffi.ts'
import { rawName, removeTreeAt } from '../snapshots/tree.ts'
import { type EntryPath, entryPath, shown, splitPath } from './entry-path.ts'
import { OpenDirectories, openChild } from './open-directories.ts'
import type { TarEntry, TarHandler } from './tar-reader.ts'

type Owner = { uid: number; gid: number }

export type WriteRules = {
  /** image-spec layer.md: `.wh.` names are whiteouts, and no link leads out of the layer. Else docker cp's rules. */
  layer: boolean
  /** Where in the root the tree begins; docker cp only. */
  base?: string
  /** Who owns everything, instead of the archive's numbers. */
  owner?: { uid: number; gid: number }
  /** Whom an owner of the archive is on the file system. Throws for who is nobody there. */
  mapOwner?: (owner: Owner) => Owner
  /** A directory replaces only a directory, a file only a file. */
  keepKinds?: boolean
  maxEntries: number
}

const layerResolve = resolveFlags.RESOLVE_BENEATH | resolveFlags.RESOLVE_NO_MAGICLINKS | resolveFlags.RESOLVE_NO_XDEV
const copyResolve = resolveFlags.RESOLVE_IN_ROOT | resolveFlags.RESOLVE_NO_MAGICLINKS

const whiteoutPrefix = '.wh.'
const opaqueMarker = '.wh..wh..opq'
/** aufs kept its own books under such names; they mean nothing here. */
const aufsPrefix = '.wh..wh.'
const opaqueAttribute = 'trusted.overlay.opaque'
const yes = Buffer.from('y')

const newFile = openFlags.O_WRONLY | openFlags.O_CREAT | openFlags.O_EXCL | openFlags.O_NOFOLLOW

const isDirectory = (status: FileStatus): boolean => (status.mode & fileTypes.S_IFMT) === fileTypes.S_IFDIR
const isWhiteout = (status: FileStatus): boolean =>
  (status.mode & fileTypes.S_IFMT) === fileTypes.S_IFCHR && status.deviceMajor === 0 && status.deviceMinor === 0

type Place = { path: EntryPath; directory: number; base: string; name: string | Buffer }

export class TreeWriter implements TarHandler, Disposable {
  readonly #rules: WriteRules
  readonly #root: number
  readonly #directories: OpenDirectories
  /** Set when all is written: making a file in a directory changes the directory's time. */
  readonly #times = new Map<EntryPath, FileTime>()
  #entries = 0
  #ownRoot = false
  #entry: TarEntry | undefined
  #file = -1

  /** @param root an open directory; stays the caller's. */
  constructor(root: number, rules: WriteRules) {
    this.#root = root
    this.#rules = rules
    const made = rules.mapOwner?.({ uid: 0, gid: 0 })
    this.#directories = new OpenDirectories(root, rules.layer ? layerResolve : copyResolve, rules.base, made)
  }

  /** Whether an entry of the archive was the root itself. */
  get ownRoot(): boolean {
    return this.#ownRoot
  }

  entry(entry: TarEntry): void {
    this.#entries += 1
    if (this.#entries > this.#rules.maxEntries)
      throw new EngineError('invalid', `the archive has more than ${this.#rules.maxEntries} entries`)
    this.#entry = entry
    try {
      // Who is nobody here is found before anything is made or replaced.
      this.#ownerOf(entry)
      this.#make(entry)
    } catch (error) {
      throw explained(error, entry)
    }
  }

  data(chunk: Buffer): void {
    // Contents of something that is not written: a whiteout with a body.
    if (this.#file === -1) return
    try {
      for (let at = 0; at < chunk.length; ) at += writeSync(this.#file, chunk, at)
    } catch (error) {
      throw explained(error, this.#entry!)
    }
  }

  /** Owner, attributes, mode and time of a file, in this order: each of the first two takes away what follows it. */
  end(): void {
    if (this.#file === -1) return
    const entry = this.#entry!
    const file = this.#file
    this.#file = -1
    try {
      const { uid, gid } = this.#ownerOf(entry)
      changeOwner(file, uid, gid)
      this.#setAttributes(file, '', entry)
      changeMode(file, entry.mode)
      setTimes(file, entry.modified)
    } catch (error) {
      throw explained(error, entry)
    } finally {
      closeSync(file)
    }
  }

  /** After the last entry. */
  finish(): void {
    for (const [path, time] of this.#times)
      try {
        setTimes(this.#directories.get(path, false), time)
      } catch (error) {
        // A running container may have moved or removed what was copied into it.
        if (this.#rules.layer || !(error instanceof EngineError)) throw error
      }
  }

  [Symbol.dispose](): void {
    if (this.#file !== -1) closeSync(this.#file)
    this.#file = -1
    this.#directories[Symbol.dispose]()
  }

  #make(entry: TarEntry): void {
    const path = entryPath(entry.name)
    if (path === '') {
      if (entry.type !== 'directory')
        throw new EngineError('invalid', `archive entry ${shown(entry.name)} would replace the root`)
      // docker cp leaves the directory that it copies into as it is.
      if (!this.#rules.layer) return
      this.#describeDirectory(path, this.#root, entry)
      this.#ownRoot = true
      return
    }
    const { parent, base } = splitPath(path)
    const directory = this.#directories.get(parent, true)
    const place: Place = { path, directory, base, name: rawName(base) }
    if (this.#rules.layer && base.startsWith(whiteoutPrefix)) this.#whiteOut(place, parent)
    else if (entry.type === 'directory') this.#makeDirectory(place, entry)
    else if (entry.type === 'file') this.#file = this.#makeFile(place)
    else this.#makeSpecial(place, entry)
  }

  #ownerOf(entry: TarEntry): Owner {
    const owner = this.#rules.owner ?? entry
    return this.#rules.mapOwner?.(owner) ?? owner
  }

  #whiteOut({ directory, base }: Place, parent: EntryPath): void {
    if (base === opaqueMarker) {
      setAttributeAt(directory, '', opaqueAttribute, yes)
      return
    }
    if (base.startsWith(aufsPrefix)) return
    const hidden = base.slice(whiteoutPrefix.length)
    if (hidden === '' || hidden === '.' || hidden === '..')
      throw new EngineError('invalid', `archive entry leaves the layer: ${shown(`${parent}/${base}`)}`)
    const status = statusAt(directory, rawName(hidden))
    // The layer itself has the name: the whiteout is of what lies below, so a directory shows only the layer's own.
    if (status === undefined) makeNodeAt(directory, rawName(hidden), fileTypes.S_IFCHR, 0, 0)
    else if (isDirectory(status)) setAttributeAt(directory, rawName(hidden), opaqueAttribute, yes)
  }

  #makeFile(place: Place): number {
    const request = { flags: newFile, mode: 0o600 }
    const opened = tryOpenAt(place.directory, place.name, request)
    if (opened >= 0) return opened
    if (errnoName(-opened) !== 'EEXIST') throw new SyscallError('openat2', -opened, shown(place.path))
    this.#clear(place, false)
    return openAt(place.directory, place.name, request)
  }

  #makeDirectory(place: Place, entry: TarEntry): void {
    let opaque = false
    if (!makeDirectoryAt(place.directory, place.name, 0o700)) {
      const status = statusAt(place.directory, place.name)
      opaque = this.#rules.layer && status !== undefined && isWhiteout(status)
      if (status === undefined || !isDirectory(status)) {
        this.#clear(place, true)
        makeDirectoryAt(place.directory, place.name, 0o700)
      }
    }
    const opened = this.#directories.keep(place.path, openChild(place.directory, place.path, place.base))
    if (opaque) setAttributeAt(opened, '', opaqueAttribute, yes)
    this.#describeDirectory(place.path, opened, entry)
  }

  #describeDirectory(path: EntryPath, directory: number, entry: TarEntry): void {
    const { uid, gid } = this.#ownerOf(entry)
    changeOwner(directory, uid, gid)
    this.#setAttributes(directory, '', entry)
    changeMode(directory, entry.mode)
    this.#times.set(path, entry.modified)
  }

  /** Removes what has the entry's name. */
  #clear({ path, directory, base, name }: Place, forDirectory: boolean): void {
    const status = statusAt(directory, name)
    if (status === undefined) return
    if (this.#rules.keepKinds === true && isDirectory(status) !== forDirectory)
      throw new EngineError(
        'invalid',
        forDirectory
          ? `cannot overwrite non-directory ${shown(path)} with directory ${shown(path)}`
          : `cannot overwrite directory ${shown(path)} with non-directory ${shown(path)}`,
      )
    if (!isDirectory(status)) {
      unlinkAt(directory, name)
      return
    }
    this.#directories.forget(path)
    for (const known of this.#times.keys())
      if (known === path || known.startsWith(`${path}/`)) this.#times.delete(known)
    removeTreeAt(directory, base)
  }

  #makeSpecial(place: Place, entry: TarEntry): void {
    const { directory, name } = place
    if (entry.type === 'link') {
      this.#makeLink(place, entry)
      return
    }
    this.#clear(place, false)
    const { uid, gid } = this.#ownerOf(entry)
    if (entry.type === 'symlink') symlinkAt(symlinkTarget(entry), directory, name)
    else makeNodeAt(directory, name, nodeType(entry) | (entry.mode & 0o777), entry.deviceMajor, entry.deviceMinor)
    changeOwnerAt(directory, name, uid, gid)
    this.#setAttributes(directory, name, entry)
    if (entry.type !== 'symlink') setNodeMode(directory, name, entry.mode)
    setTimesAt(directory, name, entry.modified)
  }

  #makeLink(place: Place, entry: TarEntry): void {
    const target = entryPath(entry.linkName)
    if (target === place.path) return
    const { parent, base } = splitPath(target)
    if (target === '' || target.startsWith(`${place.path}/`))
      throw new EngineError(
        'invalid',
        `archive entry ${shown(entry.name)} is a hard link to the directory ${shown(target)}`,
      )
    const from = this.#directories.get(parent, false)
    if (statusAt(from, rawName(base)) === undefined)
      throw new EngineError(
        'invalid',
        `archive entry ${shown(entry.name)} is a hard link to ${shown(entry.linkName)}, which the archive does not have before it`,
      )
    this.#clear(place, false)
    linkAt(from, rawName(base), place.directory, place.name)
  }

  #setAttributes(directory: number, name: string | Buffer, entry: TarEntry): void {
    for (const [attribute, value] of entry.attributes) {
      // overlay's own attributes would let a layer point into other layers.
      if (/^(trusted|user)\.overlay\./.test(attribute)) continue
      try {
        setAttributeAt(directory, name, attribute, value)
      } catch (error) {
        // A file system without them, or an attribute of another kernel's security module: Docker goes on, too.
        if (!isErrno(error, 'ENOTSUP', 'EPERM', 'EINVAL')) throw error
      }
    }
  }
}

function symlinkTarget(entry: TarEntry): string | Buffer {
  if (entry.linkName === '' || entry.linkName.includes('\0'))
    throw new EngineError('invalid', `archive entry ${shown(entry.name)} is a link without a valid target`)
  return rawName(entry.linkName)
}

const nodeType = (entry: TarEntry): number =>
  entry.type === 'character' ? fileTypes.S_IFCHR : entry.type === 'block' ? fileTypes.S_IFBLK : fileTypes.S_IFIFO

/** By an O_PATH descriptor: opening a device or a fifo would act on it, and a name could have become a link. */
function setNodeMode(directory: number, name: string | Buffer, mode: number): void {
  const node = openAt(directory, name, { flags: openFlags.O_PATH | openFlags.O_NOFOLLOW })
  try {
    changeModeOfPath(node, mode)
  } finally {
    closeSync(node)
  }
}

/** What a failed call means for the archive. */
function explained(error: unknown, entry: TarEntry): unknown {
  const what = shown(entry.name.slice(0, 256))
  if (isErrno(error, 'ENOSPC', 'EDQUOT'))
    return new EngineError('unavailable', `no space left on the disk while writing ${what}`, { cause: error })
  if (isErrno(error, 'ENAMETOOLONG', 'EINVAL', 'EPERM', 'ENOTDIR', 'EMLINK', 'ELOOP', 'EOVERFLOW'))
    return new EngineError('invalid', `cannot write archive entry ${what}: ${(error as Error).message}`, {
      cause: error,
    })
  // Only docker cp meets one: a layer is always written into the store.
  if (isErrno(error, 'EROFS')) return new EngineError('invalid', 'mounted volume is marked read-only', { cause: error })
  return error
}
