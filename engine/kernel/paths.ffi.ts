/**
 * Files by descriptor and name: openat2(2), mkdirat(2), mknodat(2), linkat(2), symlinkat(2), unlinkat(2), renameat2(2),
 * fchownat(2), fchmod(2), utimensat(2), statx(2), readlinkat(2), xattr(7), syncfs(2).
 *
 * Every function here acts on `name` inside the open directory `directory` and, openat2 aside, never follows a link at
 * the end of it: give it one component, never a path that somebody else could bend.
 */
import { constants } from 'node:fs'
import koffi from 'koffi'
import { type SystemCall, systemCall } from './call-sequence.ffi.ts'
import { errnoNumbers } from './errno.table.ts'
import { type Argument, declare, declareRaw, SyscallError } from './libc.ffi.ts'

/** Text in UTF-8, or the raw bytes of a name that need not be: then with its terminating NUL. */
export type PathName = string | Buffer

const quoted = (name: Argument | undefined): string =>
  JSON.stringify(Buffer.isBuffer(name) ? name.toString('utf8', 0, name.length - 1) : name)
const second = (_directory: Argument | undefined, name?: Argument): string => quoted(name)

const SYS_OPENAT2 = 437
const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100
const AT_REMOVEDIR = 0x200
const AT_EMPTY_PATH = 0x1000

const cOpenat2 = declareRaw('long syscall(long number, int dirfd, const char *path, void *how, size_t size)')
const cMkdirat = declareRaw('int mkdirat(int dirfd, const char *path, unsigned int mode)')
const cMknodat = declare(
  'mknodat',
  'int mknodat(int dirfd, const char *path, unsigned int mode, unsigned long device)',
  second,
)
const cLinkat = declare(
  'linkat',
  'int linkat(int olddir, const char *old, int newdir, const char *new_, int flags)',
  (_o, from, _n, to) => `${quoted(from)} as ${quoted(to)}`,
)
const cSymlinkat = declare(
  'symlinkat',
  'int symlinkat(const char *target, int dirfd, const char *path)',
  (target, _d, path) => `${quoted(path)} to ${quoted(target)}`,
)
const cUnlinkat = declareRaw('int unlinkat(int dirfd, const char *path, int flags)')
const cRenameat2 = declare(
  'renameat2',
  'int renameat2(int olddir, const char *old, int newdir, const char *new_, unsigned int flags)',
  (_o, from, _n, to) => `${quoted(from)} to ${quoted(to)}`,
)
const cFchownat = declare(
  'fchownat',
  'int fchownat(int dirfd, const char *path, unsigned int owner, unsigned int group, int flags)',
  second,
)
const cFchown = declare('fchown', 'int fchown(int fd, unsigned int owner, unsigned int group)', (fd) => `${fd}`)
const cFchmod = declare('fchmod', 'int fchmod(int fd, unsigned int mode)', (fd) => `${fd}`)
const cChmod = declare('chmod', 'int chmod(const char *path, unsigned int mode)', quoted)
const cUtimensat = declare('utimensat', 'int utimensat(int dirfd, const char *path, void *times, int flags)', second)
const cStatx = declareRaw('int statx(int dirfd, const char *path, int flags, unsigned int mask, void *buffer)')
const cFstatfs = declare('fstatfs', 'int fstatfs(int fd, void *buffer)', (fd) => `${fd}`)
const cReadlinkat = declare(
  'readlinkat',
  'intptr_t readlinkat(int dirfd, const char *path, void *buffer, size_t size)',
  second,
)
const declareSetAttribute = (name: 'setxattr' | 'lsetxattr') =>
  declare(
    name,
    `int ${name}(const char *path, const char *name, void *value, size_t size, int flags)`,
    (path, attribute) => `${quoted(attribute)} on ${quoted(path)}`,
  )
const declareAttribute = (name: 'getxattr' | 'lgetxattr') =>
  declareRaw(`intptr_t ${name}(const char *path, const char *name, void *value, size_t size)`)
const declareAttributes = (name: 'listxattr' | 'llistxattr') =>
  declareRaw(`intptr_t ${name}(const char *path, void *list, size_t size)`)
// Of a name in a directory, not following it; of an open file, following the link that /proc has for it.
const ofName = {
  set: declareSetAttribute('lsetxattr'),
  get: declareAttribute('lgetxattr'),
  list: declareAttributes('llistxattr'),
}
const ofFile = {
  set: declareSetAttribute('setxattr'),
  get: declareAttribute('getxattr'),
  list: declareAttributes('listxattr'),
}
const cSyncfs = koffi.load('libc.so.6').func('int syncfs(int fd)')
const cSyncfsHere = declare('syncfs', 'int syncfs(int fd)', (fd) => `descriptor ${fd}`)

/** Flags of open(2); close-on-exec is always added. The numbers differ between architectures: Node knows its own. */
export const openFlags = {
  O_RDONLY: constants.O_RDONLY,
  O_WRONLY: constants.O_WRONLY,
  O_RDWR: constants.O_RDWR,
  O_CREAT: constants.O_CREAT,
  O_EXCL: constants.O_EXCL,
  O_TRUNC: constants.O_TRUNC,
  O_APPEND: constants.O_APPEND,
  O_NONBLOCK: constants.O_NONBLOCK,
  O_DIRECTORY: constants.O_DIRECTORY,
  O_NOFOLLOW: constants.O_NOFOLLOW,
  O_PATH: 0o10000000,
} as const

/** How openat2(2) may resolve a path. */
export const resolveFlags = {
  /** Crosses no mount point. */
  RESOLVE_NO_XDEV: 0x1,
  /** Follows no /proc/PID/fd-like link. */
  RESOLVE_NO_MAGICLINKS: 0x2,
  /** Follows no link at all. */
  RESOLVE_NO_SYMLINKS: 0x4,
  /** EXDEV where `..` or a link leads out of the directory, or a link is absolute. */
  RESOLVE_BENEATH: 0x8,
  /** The directory is the root for `..` and absolute links, as after chroot(2). */
  RESOLVE_IN_ROOT: 0x10,
} as const

export type OpenRequest = { flags: number; mode?: number; resolve?: number }

const O_CLOEXEC = 0o2000000
const openHow = Buffer.alloc(24)
let openHowFlags = -1
let openHowMode = -1
let openHowResolve = -1

function fillOpenHow(flags: number, mode: number, resolve: number): void {
  // One request follows another with the same fields for thousands of files: written only where they differ.
  if (flags !== openHowFlags) openHow.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0)
  if (mode !== openHowMode) openHow.writeBigUInt64LE(BigInt(mode), 8)
  if (resolve !== openHowResolve) openHow.writeBigUInt64LE(BigInt(resolve), 16)
  openHowFlags = flags
  openHowMode = mode
  openHowResolve = resolve
}

/**
 * openat2(2): a descriptor, or -errno for callers that branch on it. EAGAIN (a rename raced with `..`) is repeated a few
 * times, as the page advises.
 */
export function tryOpenAt(directory: number, name: PathName, request: OpenRequest): number {
  fillOpenHow(request.flags, request.mode ?? 0, request.resolve ?? 0)
  for (let attempt = 0; ; attempt += 1) {
    const result = cOpenat2(SYS_OPENAT2, directory, name, openHow, 24)
    if (result !== -errnoNumbers.EAGAIN || attempt === 32) return result
  }
}

/** openat2(2), throwing. */
export function openAt(directory: number, name: PathName, request: OpenRequest): number {
  const result = tryOpenAt(directory, name, request)
  if (result < 0) throw new SyscallError('openat2', -result, quoted(name))
  return result
}

/** Makes a directory; false where something of that name exists. The umask applies to `mode`. */
export function makeDirectoryAt(directory: number, name: PathName, mode: number): boolean {
  const result = cMkdirat(directory, name, mode)
  if (result === -errnoNumbers.EEXIST) return false
  if (result < 0) throw new SyscallError('mkdirat', -result, quoted(name))
  return true
}

/** st_mode bits of the file types, inode(7). */
export const fileTypes = {
  S_IFMT: 0o170000,
  S_IFSOCK: 0o140000,
  S_IFLNK: 0o120000,
  S_IFREG: 0o100000,
  S_IFBLK: 0o060000,
  S_IFDIR: 0o040000,
  S_IFCHR: 0o020000,
  S_IFIFO: 0o010000,
} as const

/** makedev(3) of glibc. */
const makeDevice = (major: number, minor: number): bigint => {
  const [a, b] = [BigInt(major >>> 0), BigInt(minor >>> 0)]
  return ((a & 0xfffff000n) << 32n) | ((a & 0xfffn) << 8n) | ((b & 0xffffff00n) << 12n) | (b & 0xffn)
}

/** `mode` is type and permissions; the umask applies. */
export const makeNodeAt = (directory: number, name: PathName, mode: number, major = 0, minor = 0): void => {
  cMknodat(directory, name, mode, makeDevice(major, minor))
}

/** A hard link; neither name is followed when it is a symbolic link. */
export const linkAt = (fromDirectory: number, from: PathName, directory: number, name: PathName): void => {
  cLinkat(fromDirectory, from, directory, name, 0)
}

export const symlinkAt = (target: PathName, directory: number, name: PathName): void => {
  cSymlinkat(target, directory, name)
}

/** Removes a file, or an empty directory; 0, or -errno for callers that branch on it (EISDIR, ENOTEMPTY, ENOENT). */
export const tryUnlinkAt = (directory: number, name: PathName, kind: 'file' | 'directory' = 'file'): number =>
  cUnlinkat(directory, name, kind === 'directory' ? AT_REMOVEDIR : 0)

/** Removes a file, or an empty directory; false where there was none. */
export function unlinkAt(directory: number, name: PathName, kind: 'file' | 'directory' = 'file'): boolean {
  const result = tryUnlinkAt(directory, name, kind)
  if (result === -errnoNumbers.ENOENT) return false
  if (result < 0) throw new SyscallError('unlinkat', -result, quoted(name))
  return true
}

const RENAME_NOREPLACE = 1

/** With `keep` it throws EEXIST rather than replace. */
export const renameAt = (
  fromDirectory: number,
  from: PathName,
  directory: number,
  name: PathName,
  options: { keep?: boolean } = {},
): void => {
  cRenameat2(fromDirectory, from, directory, name, options.keep === true ? RENAME_NOREPLACE : 0)
}

export const changeOwnerAt = (directory: number, name: PathName, uid: number, gid: number): void => {
  cFchownat(directory, name, uid, gid, AT_SYMLINK_NOFOLLOW)
}

export const changeOwner = (fd: number, uid: number, gid: number): void => {
  cFchown(fd, uid, gid)
}

/** `changeOwner` of who owns it alone, where that may be done, for a row of calls. */
export const giveCall = (fd: number, uid: number): SystemCall =>
  systemCall('fchown', [fd, uid, -1], { detail: `${fd}`, tolerates: ['EPERM', 'EINVAL', 'EROFS'] })

/** The umask does not apply. Not for descriptors opened with O_PATH: see `changeModeOfPath`. */
export const changeMode = (fd: number, mode: number): void => {
  cFchmod(fd, mode)
}

/** chmod(2) of what an O_PATH descriptor names: fchmod(2) refuses those, the link in /proc reaches the same inode. */
export const changeModeOfPath = (fd: number, mode: number): void => {
  cChmod(`/proc/self/fd/${fd}`, mode)
}

/** A point in time: whole seconds since 1970 (may be negative) and 0–999,999,999 nanoseconds. */
export type FileTime = { readonly seconds: number; readonly nanoseconds: number }

const timesBuffer = Buffer.alloc(32)

function fillTimes(time: FileTime): void {
  timesBuffer.writeBigInt64LE(BigInt(time.seconds), 0)
  timesBuffer.writeBigInt64LE(BigInt(time.nanoseconds), 8)
  timesBuffer.copy(timesBuffer, 16, 0, 16)
}

/** Both access and modification time. */
export function setTimesAt(directory: number, name: PathName, time: FileTime): void {
  fillTimes(time)
  cUtimensat(directory, name, timesBuffer, AT_SYMLINK_NOFOLLOW)
}

/** Both times of an open file; also of one opened with O_PATH (Linux 5.8). */
export function setTimes(fd: number, time: FileTime): void {
  fillTimes(time)
  cUtimensat(fd, '', timesBuffer, AT_EMPTY_PATH)
}

export type FileStatus = {
  /** Type and permissions, inode(7). */
  mode: number
  uid: number
  gid: number
  size: number
  links: number
  inode: bigint
  modified: FileTime
  /** Of the device that the file is, for device nodes. */
  deviceMajor: number
  deviceMinor: number
  /** The file system's own number, `major:minor`. */
  fileSystem: string
  /** 512-byte units allocated. */
  blocks: number
}

const statxBuffer = Buffer.alloc(256)
const STATX_BASIC_STATS = 0x7ff

function decodeStatx(): FileStatus {
  return {
    links: statxBuffer.readUInt32LE(16),
    uid: statxBuffer.readUInt32LE(20),
    gid: statxBuffer.readUInt32LE(24),
    mode: statxBuffer.readUInt16LE(28),
    inode: statxBuffer.readBigUInt64LE(32),
    size: Number(statxBuffer.readBigUInt64LE(40)),
    blocks: Number(statxBuffer.readBigUInt64LE(48)),
    modified: { seconds: Number(statxBuffer.readBigInt64LE(112)), nanoseconds: statxBuffer.readUInt32LE(120) },
    deviceMajor: statxBuffer.readUInt32LE(128),
    deviceMinor: statxBuffer.readUInt32LE(132),
    fileSystem: `${statxBuffer.readUInt32LE(136)}:${statxBuffer.readUInt32LE(140)}`,
  }
}

/** The status of a name, links not followed; undefined where there is none (ENOENT, ENOTDIR). statx(2). */
export function statusAt(directory: number, name: PathName): FileStatus | undefined {
  const result = cStatx(directory, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, statxBuffer)
  if (result === -errnoNumbers.ENOENT || result === -errnoNumbers.ENOTDIR) return undefined
  if (result < 0) throw new SyscallError('statx', -result, quoted(name))
  return decodeStatx()
}

/** The status of an open file, O_PATH included. */
export function statusOf(fd: number): FileStatus {
  const result = cStatx(fd, '', AT_EMPTY_PATH, STATX_BASIC_STATS, statxBuffer)
  if (result < 0) throw new SyscallError('statx', -result, `descriptor ${fd}`)
  return decodeStatx()
}

/** linux/magic.h, those that somebody asks for. */
export const fileSystemTypes = { proc: 0x9fa0 } as const

const statfsBuffer = Buffer.alloc(128)

/** What kind of file system an open file is on, O_PATH included; a number of `fileSystemTypes`. statfs(2). */
export function fileSystemType(fd: number): number {
  cFstatfs(fd, statfsBuffer)
  return Number(statfsBuffer.readBigInt64LE(0))
}

const linkBuffer = Buffer.alloc(4096)

/** The bytes of a symbolic link's target; with the name '' those of a link opened with O_PATH | O_NOFOLLOW. */
export function readLinkAt(directory: number, name: PathName): Buffer {
  const length = cReadlinkat(directory, name, linkBuffer, linkBuffer.length)
  return Buffer.from(linkBuffer.subarray(0, length))
}

// Extended attributes have no *at form before Linux 6.13; /proc/self/fd/N is the directory itself, whatever its name.
const viaProc = (directory: number, name: PathName): PathName => {
  const prefix = `/proc/self/fd/${directory}`
  if (typeof name === 'string') return name === '' ? prefix : `${prefix}/${name}`
  return Buffer.concat([Buffer.from(`${prefix}/`), name])
}

/** With the name '' the attribute of what the descriptor (O_PATH too) names. */
export const setAttributeAt = (directory: number, name: PathName, attribute: string, value: Buffer): void => {
  ;(name === '' ? ofFile : ofName).set(viaProc(directory, name), attribute, value, value.length, 0)
}

const attributeBuffer = Buffer.alloc(65536)
const absent = [-errnoNumbers.ENODATA, -errnoNumbers.ENOTSUP]

/** undefined where the file has no such attribute, or its file system has none at all. */
export function attributeAt(directory: number, name: PathName, attribute: string): Buffer | undefined {
  const path = viaProc(directory, name)
  const size = (name === '' ? ofFile : ofName).get(path, attribute, attributeBuffer, attributeBuffer.length)
  if (absent.includes(size)) return undefined
  if (size < 0) throw new SyscallError('getxattr', -size, `${attribute} of ${quoted(path)}`)
  return Buffer.from(attributeBuffer.subarray(0, size))
}

/** The names of a file's attributes; empty where its file system has none. */
export function attributesAt(directory: number, name: PathName): string[] {
  const path = viaProc(directory, name)
  const size = (name === '' ? ofFile : ofName).list(path, attributeBuffer, attributeBuffer.length)
  if (size === 0 || absent.includes(size)) return []
  if (size < 0) throw new SyscallError('listxattr', -size, quoted(path))
  return attributeBuffer.toString('utf8', 0, size - 1).split('\0')
}

/**
 * Writes out everything of the file system that holds `fd`, in a thread of its own; syncfs(2). One call instead of an
 * fsync(2) per file: what was written before it survives a power cut. A failure is told as EIO, whatever it was: the errno
 * of the other thread cannot be read here.
 */
export const syncFileSystem = (fd: number): Promise<void> =>
  new Promise((resolve, reject) => {
    cSyncfs.async(fd, (error: Error | null, result: number) => {
      if (error !== null) reject(error)
      else if (result === 0) resolve()
      else reject(new SyscallError('syncfs', errnoNumbers.EIO, `descriptor ${fd}`))
    })
  })

/** The same, and this thread stands still until it is done. */
export const syncFileSystemHere = (fd: number): void => {
  cSyncfsHere(fd)
}

/** Opens a directory of the host by its absolute path; for roots that only root can change. */
export const openDirectory = (path: string): number =>
  openAt(AT_FDCWD, path, { flags: openFlags.O_RDONLY | openFlags.O_DIRECTORY })

/** Only a name, for what needs no permission to read: to mount on, to stat. The caller trusts the path. */
export const openPath = (path: string): number => openAt(AT_FDCWD, path, { flags: openFlags.O_PATH })
