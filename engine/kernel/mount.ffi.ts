/** Mounts: mount(2), umount2(2), pivot_root(2), and the descriptor family open_tree(2), fsopen(2), move_mount(2), mount_setattr(2). */
import { type SystemCall, systemCall } from './call-sequence.ffi.ts'
import { declare } from './libc.ffi.ts'

const quoted = (value: unknown): string => JSON.stringify(value ?? 'none')

const cMount = declare(
  'mount',
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
  (source, target, type) => `${type ?? source} on ${quoted(target)}`,
)
const cUmount = declare('umount2', 'int umount2(const char *target, int flags)', quoted)
const cPivotRoot = declare('pivot_root', 'int pivot_root(const char *new_root, const char *put_old)', quoted)
const cFchdir = declare('fchdir', 'int fchdir(int fd)', (fd) => `${fd}`)
const cChroot = declare('chroot', 'int chroot(const char *path)', quoted)
const openTreeCall = declare(
  'open_tree',
  'long syscall(long number, int dirfd, const char *path, unsigned int flags)',
  (_n, _d, path) => quoted(path),
)
const moveMountCall = declare(
  'move_mount',
  'long syscall(long number, int from, const char *from_path, int to, const char *to_path, unsigned int flags)',
  (_n, _f, _p, _t, to) => `on ${quoted(to)}`,
)
const fsopenCall = declare('fsopen', 'long syscall(long number, const char *type, unsigned int flags)', (_n, type) =>
  quoted(type),
)
const fsconfigCall = declare(
  'fsconfig',
  'long syscall(long number, int fd, unsigned int command, const char *key, const char *value, int aux)',
  (_n, _fd, _command, key, value) => `${key ?? ''}=${value ?? ''}`,
)
const fsmountCall = declare('fsmount', 'long syscall(long number, int fd, unsigned int flags, unsigned int attributes)')
const mountSetattrCall = declare(
  'mount_setattr',
  'long syscall(long number, int dirfd, const char *path, unsigned int flags, void *attr, size_t size)',
  (_n, _d, path) => quoted(path),
)

const cFstatfs = declare('fstatfs', 'int fstatfs(int fd, void *status)')

const SYS_OPEN_TREE = 428
const SYS_MOVE_MOUNT = 429
const SYS_FSOPEN = 430
const SYS_FSCONFIG = 431
const SYS_FSMOUNT = 432
const SYS_MOUNT_SETATTR = 442

const AT_FDCWD = -100
const AT_EMPTY_PATH = 0x1000
const AT_RECURSIVE = 0x8000

/** Flags of mount(2). */
export const mountFlags = {
  MS_RDONLY: 0x1,
  MS_NOSUID: 0x2,
  MS_NODEV: 0x4,
  MS_NOEXEC: 0x8,
  MS_SYNCHRONOUS: 0x10,
  MS_REMOUNT: 0x20,
  MS_MANDLOCK: 0x40,
  MS_DIRSYNC: 0x80,
  MS_NOSYMFOLLOW: 0x100,
  MS_NOATIME: 0x400,
  MS_NODIRATIME: 0x800,
  MS_BIND: 0x1000,
  MS_MOVE: 0x2000,
  MS_REC: 0x4000,
  MS_SILENT: 0x8000,
  MS_UNBINDABLE: 0x20000,
  MS_PRIVATE: 0x40000,
  MS_SLAVE: 0x80000,
  MS_SHARED: 0x100000,
  MS_RELATIME: 0x200000,
  MS_I_VERSION: 0x800000,
  MS_STRICTATIME: 0x1000000,
  MS_LAZYTIME: 0x2000000,
} as const

/** Attributes of mount_setattr(2) and fsmount(2). */
export const mountAttributes = {
  MOUNT_ATTR_RDONLY: 0x1,
  MOUNT_ATTR_NOSUID: 0x2,
  MOUNT_ATTR_NODEV: 0x4,
  MOUNT_ATTR_NOEXEC: 0x8,
  MOUNT_ATTR_ATIME: 0x70,
  MOUNT_ATTR_NOATIME: 0x10,
  MOUNT_ATTR_STRICTATIME: 0x20,
  MOUNT_ATTR_NODIRATIME: 0x80,
  MOUNT_ATTR_IDMAP: 0x100000,
  MOUNT_ATTR_NOSYMFOLLOW: 0x200000,
} as const

export type MountCall = {
  source?: string | null
  target: string
  type?: string | null
  flags?: number
  data?: string | null
}

/** mount(2), as it is. The target is followed through links: inside a container's tree give `/proc/self/fd/N`. */
export const mount = (call: MountCall): void => {
  cMount(call.source ?? null, call.target, call.type ?? null, call.flags ?? 0, call.data ?? null)
}

const MNT_DETACH = 2
const UMOUNT_NOFOLLOW = 8

/** Takes the mount out of the tree; `lazy` leaves it to those who still use it. Never follows a link at the end. */
export const unmount = (target: string, options: { lazy?: boolean } = {}): void => {
  cUmount(target, UMOUNT_NOFOLLOW | (options.lazy === true ? MNT_DETACH : 0))
}

/** unmount(".", lazy): the step after pivot_root(".", "."), where no name is left. */
export const detachCurrent = (): void => {
  cUmount('.', MNT_DETACH)
}

export const pivotRoot = (newRoot: string, putOld: string): void => {
  cPivotRoot(newRoot, putOld)
}

/** Where the caller's paths begin; its working directory stays. chroot(2). */
export const changeRoot = (path: string): void => {
  cChroot(path)
}

/** The working directory becomes what the descriptor shows, whatever its name is; fchdir(2). */
export const changeDirectory = (directory: number): void => {
  cFchdir(directory)
}

/** By its name; chdir(2). */
export const changeDirectoryCall = (path: string): SystemCall =>
  systemCall('chdir', [Buffer.from(`${path}\0`)], { detail: JSON.stringify(path) })

const OPEN_TREE_CLONE = 1
const OPEN_TREE_CLOEXEC = 0o2000000

/** A detached copy of the mount at `path` (with those below it): a descriptor, close-on-exec; open_tree(2). */
export const cloneTree = (path: string, options: { recursive?: boolean; directory?: number } = {}): number =>
  openTreeCall(
    SYS_OPEN_TREE,
    options.directory ?? AT_FDCWD,
    path,
    OPEN_TREE_CLONE |
      OPEN_TREE_CLOEXEC |
      (path === '' ? AT_EMPTY_PATH : 0) |
      (options.recursive === true ? AT_RECURSIVE : 0),
  )

const MOVE_MOUNT_F_EMPTY_PATH = 0x4
const MOVE_MOUNT_T_EMPTY_PATH = 0x40

/** Attaches a detached mount on what the descriptor `target` names; move_mount(2). No path is resolved. */
export const attachMount = (mountDescriptor: number, target: number): void => {
  moveMountCall(SYS_MOVE_MOUNT, mountDescriptor, '', target, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
}

const FSOPEN_CLOEXEC = 1
/** O_CLOEXEC, for dup3(2). */
const O_CLOEXEC = 0o2000000
const FSCONFIG_SET_FLAG = 0
const FSCONFIG_SET_STRING = 1
const FSCONFIG_CMD_CREATE = 6
const FSMOUNT_CLOEXEC = 1

/** A context to configure a new file system in; fsopen(2). */
export const fsOpen = (type: string): number => fsopenCall(SYS_FSOPEN, type, FSOPEN_CLOEXEC)

/** One option; a value is at most 255 bytes (fsconfig(2)). Without a value it is a flag. */
export const fsConfig = (context: number, key: string, value?: string): void => {
  if (value === undefined) fsconfigCall(SYS_FSCONFIG, context, FSCONFIG_SET_FLAG, key, null, 0)
  else fsconfigCall(SYS_FSCONFIG, context, FSCONFIG_SET_STRING, key, value, 0)
}

/** Makes the file system and gives a detached mount of it: a descriptor, close-on-exec; fsmount(2). */
export const fsMount = (context: number, attributes = 0): number => {
  fsconfigCall(SYS_FSCONFIG, context, FSCONFIG_CMD_CREATE, null, null, 0)
  return fsmountCall(SYS_FSMOUNT, context, FSMOUNT_CLOEXEC, attributes)
}

/**
 * `fsOpen`, `fsConfig` of the source, and `fsMount`, for a row of calls; the mount's descriptor is `place` then.
 *
 * @param place a number that nobody needs in the process that makes the calls
 */
export function fileSystemCalls(type: string, source: string, attributes: number, place: number): SystemCall[] {
  const [name, key, value] = [type, 'source', source].map((text) => Buffer.from(`${text}\0`)) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  return [
    systemCall('fsopen', [name, FSOPEN_CLOEXEC], { detail: type }),
    systemCall('dup3', [0, place, O_CLOEXEC], { continues: true, detail: `to ${place}` }),
    systemCall('fsconfig', [place, FSCONFIG_SET_STRING, key, value, 0], { detail: `source=${source}` }),
    systemCall('fsconfig', [place, FSCONFIG_CMD_CREATE, 0, 0, 0], { detail: type }),
    systemCall('fsmount', [place, FSMOUNT_CLOEXEC, attributes], { detail: type }),
    systemCall('dup3', [0, place, O_CLOEXEC], { continues: true, detail: `to ${place}` }),
  ]
}

export type AttributeChange = {
  set?: number
  clear?: number
  propagation?: number
  userNamespace?: number
  recursive?: boolean
}

const attributeStruct = Buffer.alloc(32)

/** Changes a mount that a descriptor names, with all below it when recursive; mount_setattr(2). */
export const setMountAttributes = (mountDescriptor: number, change: AttributeChange): void => {
  attributeStruct.writeBigUInt64LE(BigInt(change.set ?? 0), 0)
  attributeStruct.writeBigUInt64LE(BigInt(change.clear ?? 0), 8)
  attributeStruct.writeBigUInt64LE(BigInt(change.propagation ?? 0), 16)
  attributeStruct.writeBigUInt64LE(BigInt(change.userNamespace ?? 0), 24)
  const flags = AT_EMPTY_PATH | (change.recursive === true ? AT_RECURSIVE : 0)
  mountSetattrCall(SYS_MOUNT_SETATTR, mountDescriptor, '', flags, attributeStruct, 32)
}

/** struct statfs is of words of eight bytes on 64-bit machines; f_flags is the eleventh. */
const statfsStruct = Buffer.alloc(120)
const statfsFlags = 80

/** f_flags of statfs(2), beside those of access times. */
const attributeOfStatus: readonly (readonly [status: number, attribute: number])[] = [
  [0x1, mountAttributes.MOUNT_ATTR_RDONLY],
  [0x2, mountAttributes.MOUNT_ATTR_NOSUID],
  [0x4, mountAttributes.MOUNT_ATTR_NODEV],
  [0x8, mountAttributes.MOUNT_ATTR_NOEXEC],
  [0x400, mountAttributes.MOUNT_ATTR_NOATIME],
  [0x800, mountAttributes.MOUNT_ATTR_NODIRATIME],
  [0x2000, mountAttributes.MOUNT_ATTR_NOSYMFOLLOW],
]
const ST_NOATIME = 0x400
const ST_RELATIME = 0x1000

/** The attributes of the mount that a descriptor shows, a read-only file system counted in; statfs(2). */
export function mountAttributesOf(descriptor: number): number {
  cFstatfs(descriptor, statfsStruct)
  const status = statfsStruct.readUInt32LE(statfsFlags)
  let attributes = (status & (ST_NOATIME | ST_RELATIME)) === 0 ? mountAttributes.MOUNT_ATTR_STRICTATIME : 0
  for (const [flag, attribute] of attributeOfStatus) if ((status & flag) !== 0) attributes |= attribute
  return attributes
}
