/** Namespaces: namespaces(7), ioctl_nsfs(2), unshare(2), setns(2), and the names a UTS namespace holds: sethostname(2). */
import { closeSync, constants, openSync } from 'node:fs'
import type { OciNamespaceType } from '../spec/oci.ts'
import { type SystemCall, systemCall } from './call-sequence.ffi.ts'
import { declare, declareRaw } from './libc.ffi.ts'

const cUnshare = declare('unshare', 'int unshare(int flags)', (flags) => describe(BigInt(flags as number)))
const cSetns = declare(
  'setns',
  'int setns(int fd, int flags)',
  (fd, flags) => `${fd} (${describe(BigInt(flags as number)) || 'any kind'})`,
)
const cNamespaceType = declareRaw('int ioctl(int fd, unsigned long request)')
const cSethostname = declare('sethostname', 'int sethostname(const char *name, size_t length)', (name) =>
  JSON.stringify(name),
)
const cSetdomainname = declare('setdomainname', 'int setdomainname(const char *name, size_t length)', (name) =>
  JSON.stringify(name),
)

export type NamespaceKind = {
  /** Its name in the OCI runtime specification. */
  readonly type: OciNamespaceType
  /** Its link under /proc/PID/ns; namespaces(7). */
  readonly link: 'user' | 'mnt' | 'pid' | 'net' | 'ipc' | 'uts' | 'cgroup' | 'time'
  /** What unshare(2) and setns(2) of pid and time act on: the namespace of children to come. */
  readonly childrenLink?: 'pid_for_children' | 'time_for_children'
  /** The CLONE_NEW* flag. A bigint because clone3(2) takes 64 bits. */
  readonly flag: bigint
}

/**
 * Every kind the kernel has, in the order in which they are joined: user first, which gives the right to the others;
 * mount last, since after it the paths are another root's.
 */
export const namespaceKinds: readonly NamespaceKind[] = [
  { type: 'user', link: 'user', flag: 0x10000000n },
  { type: 'ipc', link: 'ipc', flag: 0x08000000n },
  { type: 'uts', link: 'uts', flag: 0x04000000n },
  { type: 'network', link: 'net', flag: 0x40000000n },
  { type: 'pid', link: 'pid', childrenLink: 'pid_for_children', flag: 0x20000000n },
  { type: 'cgroup', link: 'cgroup', flag: 0x02000000n },
  { type: 'time', link: 'time', childrenLink: 'time_for_children', flag: 0x80n },
  { type: 'mount', link: 'mnt', flag: 0x00020000n },
]

const byType = new Map<OciNamespaceType, NamespaceKind>(namespaceKinds.map((kind) => [kind.type, kind]))

export const namespaceKind = (type: OciNamespaceType): NamespaceKind => byType.get(type)!

/** The CLONE_NEW* flags of these kinds, or-ed: for clone3, `unshare` and `setNamespace`. */
export const namespaceFlags = (types: Iterable<OciNamespaceType>): bigint => {
  let flags = 0n
  for (const type of types) flags |= namespaceKind(type).flag
  return flags
}

const NS_GET_NSTYPE = 0xb703

/** What kind of namespace a descriptor names, wherever it is mounted; undefined where it names none. ioctl_nsfs(2) */
export function namespaceTypeOf(fd: number): OciNamespaceType | undefined {
  const flag = BigInt(cNamespaceType(fd, NS_GET_NSTYPE))
  return namespaceKinds.find((kind) => kind.flag === flag)?.type
}

function describe(flags: bigint): string {
  return namespaceKinds
    .filter((kind) => (flags & kind.flag) !== 0n)
    .map((kind) => kind.type)
    .join(', ')
}

/**
 * Moves the calling thread into new namespaces; unshare(2). Pid and time take effect for children to come.
 *
 * Precondition for user and mount: one thread in the process (`node --single-threaded`, or forked), or EINVAL; the
 * other kinds change the calling thread alone, which on the main thread of Node is the thread of JavaScript.
 */
export const unshare = (types: Iterable<OciNamespaceType>): void => {
  cUnshare(Number(namespaceFlags(types)))
}

/** `unshare` for a row of calls. */
export const unshareCall = (types: Iterable<OciNamespaceType>): SystemCall => {
  const flags = namespaceFlags(types)
  return systemCall('unshare', [flags], { detail: describe(flags) })
}

/**
 * Moves the calling thread into the namespace that `fd` names; setns(2). Without kinds `fd` may be any namespace;
 * for a pidfd (Linux 5.8) name the kinds of that process to join, all or nothing. Preconditions as for `unshare`.
 */
export const setNamespace = (fd: number, types: Iterable<OciNamespaceType> = []): void => {
  cSetns(fd, Number(namespaceFlags(types)))
}

/** `setNamespace` for a row of calls. */
export const namespaceCall = (fd: number, types: Iterable<OciNamespaceType>): SystemCall => {
  const flags = namespaceFlags(types)
  return systemCall('setns', [fd, flags], { detail: `${fd} (${describe(flags)})` })
}

/** A process in /proc: 'self' is the process (its first thread), 'thread-self' the calling thread. */
export type ProcessName = number | 'self' | 'thread-self'

export const namespacePath = (process: ProcessName, type: OciNamespaceType): string =>
  `/proc/${process}/ns/${namespaceKind(type).link}`

/** A descriptor (close-on-exec) that keeps the namespace alive. The caller closes it. */
export const openNamespace = (process: ProcessName, type: OciNamespaceType): number =>
  openSync(namespacePath(process, type), constants.O_RDONLY)

/**
 * Runs synchronous work with the calling thread inside another network namespace, and comes back. Sockets that the
 * work opens stay in that namespace. Nothing else runs in between: the work must not await.
 */
export function inNetworkNamespace<T>(path: string, work: () => T): T {
  using cleanup = new DisposableStack()
  const home = cleanup.adopt(openNamespace('thread-self', 'network'), closeSync)
  const there = cleanup.adopt(openSync(path, constants.O_RDONLY), closeSync)
  setNamespace(there, ['network'])
  cleanup.defer(() => setNamespace(home, ['network']))
  return work()
}

/** The node name of the caller's UTS namespace, at most 64 bytes; sethostname(2). */
export const setHostname = (name: string): void => {
  cSethostname(name, Buffer.byteLength(name))
}

/** The NIS domain name of the caller's UTS namespace, at most 64 bytes; setdomainname(2). */
export const setDomainname = (name: string): void => {
  cSetdomainname(name, Buffer.byteLength(name))
}
