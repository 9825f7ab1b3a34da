/** Sockets of the local machine, for processes without an event loop: unix(7), socketpair(2), cmsg(3). */
import { errnoNumbers } from './errno.table.ts'
import type { Credentials } from './file-rights.ffi.ts'
import { addressOf, declare, declareRaw, SyscallError } from './libc.ffi.ts'

const cSocket = declare('socket', 'int socket(int domain, int type, int protocol)')
const cSocketpair = declare('socketpair', 'int socketpair(int domain, int type, int protocol, void *ends)')
const cBind = declare('bind', 'int bind(int fd, void *address, unsigned int length)')
const cListen = declare('listen', 'int listen(int fd, int backlog)')
const cAccept4 = declareRaw('int accept4(int fd, void *address, void *length, int flags)')
const cShutdown = declareRaw('int shutdown(int fd, int how)')
const cConnect = declareRaw('int connect(int fd, void *address, unsigned int length)')
const cSendmsg = declareRaw('intptr_t sendmsg(int fd, void *message, int flags)')
const cRecvmsg = declareRaw('intptr_t recvmsg(int fd, void *message, int flags)')
const cClose = declareRaw('int close(int fd)')
const cGetsockopt = declareRaw('int getsockopt(int fd, int level, int name, void *value, void *length)')

const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SHUT_WR = 1
const longestPath = 107

function addressFor(path: string): Buffer {
  const bytes = Buffer.from(path)
  if (bytes.length > longestPath)
    throw new Error(`socket path ${JSON.stringify(path)} is longer than ${longestPath} bytes; unix(7)`)
  const address = Buffer.alloc(bytes.length + 3)
  address.writeUInt16LE(AF_UNIX, 0)
  bytes.copy(address, 2)
  return address
}

/** A listening socket at `path` (at most 107 bytes), close-on-exec. The path must not exist. */
export function listen(path: string, options: { backlog?: number; blocking?: boolean } = {}): number {
  const fd = cSocket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (options.blocking === true ? 0 : SOCK_NONBLOCK), 0)
  const address = addressFor(path)
  cBind(fd, address, address.length)
  cListen(fd, options.backlog ?? 64)
  return fd
}

/**
 * A blocking, close-on-exec connection to the listener at `path`; throws ENOENT where nothing is, ECONNREFUSED where
 * nobody listens, EAGAIN (with `wait` false) where the queue is full.
 */
export function connect(path: string, options: { wait?: boolean } = {}): number {
  const blocking = options.wait !== false
  const fd = cSocket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (blocking ? 0 : SOCK_NONBLOCK), 0)
  const address = addressFor(path)
  let result: number
  do result = cConnect(fd, address, address.length)
  while (result === -errnoNumbers.EINTR)
  if (result === 0) return fd
  cClose(fd)
  throw new SyscallError('connect', -result, JSON.stringify(path))
}

/** A socket that takes datagrams at `path`, which must not exist: non-blocking, close-on-exec. */
export function bindDatagrams(path: string): number {
  const fd = cSocket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
  const address = addressFor(path)
  cBind(fd, address, address.length)
  return fd
}

/** A blocking, close-on-exec socket whose datagrams go to a path, or with `@` before it to an abstract name. */
export function connectDatagrams(target: string): number {
  const fd = cSocket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  const address = addressFor(target)
  // The name is all bytes after a zero one, to the end.
  const abstract = target.startsWith('@')
  if (abstract) address[2] = 0
  const result = cConnect(fd, address, abstract ? address.length - 1 : address.length)
  if (result === 0) return fd
  cClose(fd)
  throw new SyscallError('connect', -result, JSON.stringify(target))
}

/** The next connection, waited for: blocking and close-on-exec. The listener must block, too. */
export function acceptNext(fd: number): number {
  for (;;) {
    const connection = cAccept4(fd, null, null, SOCK_CLOEXEC)
    if (connection >= 0) return connection
    if (connection !== -errnoNumbers.EINTR) throw new SyscallError('accept4', -connection, `${fd}`)
  }
}

/** The next waiting connection, non-blocking and close-on-exec; undefined when there is none. */
export function accept(fd: number): number | undefined {
  const connection = cAccept4(fd, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK)
  return connection < 0 ? undefined : connection
}

/** Two connected stream ends, close-on-exec, blocking. */
export function socketPair(): [number, number] {
  const ends = Buffer.alloc(8)
  cSocketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
  return [ends.readInt32LE(0), ends.readInt32LE(4)]
}

/** Tells the other side that no more comes; its own words still arrive. */
export const endWrites = (fd: number): void => {
  cShutdown(fd, SHUT_WR)
}

const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const MSG_CMSG_CLOEXEC = 0x40000000
const MSG_NOSIGNAL = 0x4000
/** struct cmsghdr: length (8 bytes, header included), level, type. */
const controlHeader = 16
/** The kernel passes at most 253 at once; nobody here needs more than a few. */
const mostDescriptors = 16

// A header holds addresses, which keep nothing from being collected: what they point to lives as long as the module.
const payload = Buffer.allocUnsafeSlow(4096)
const control = Buffer.allocUnsafeSlow(controlHeader + mostDescriptors * 4)
const vector = Buffer.allocUnsafeSlow(16)
const header = Buffer.allocUnsafeSlow(56)

/** struct msghdr with one buffer, the first `size` bytes of `payload`, and room for `count` descriptors. */
function fillHeader(size: number, count: number): void {
  vector.writeBigUInt64LE(addressOf(payload), 0)
  vector.writeBigUInt64LE(BigInt(size), 8)
  header.fill(0)
  header.writeBigUInt64LE(addressOf(vector), 16)
  header.writeBigUInt64LE(1n, 24)
  header.writeBigUInt64LE(addressOf(control), 32)
  // The kernel wants the room rounded up to its own words; CMSG_SPACE of cmsg(3).
  header.writeBigUInt64LE(BigInt(controlHeader + Math.ceil(count / 2) * 8), 40)
}

/** Sends copies of open descriptors (16 at most) along with 1–4096 bytes of `data`; SCM_RIGHTS, unix(7). */
export function sendDescriptors(fd: number, data: Buffer, descriptors: readonly number[]): void {
  data.copy(payload)
  control.writeBigUInt64LE(BigInt(controlHeader + descriptors.length * 4), 0)
  control.writeInt32LE(SOL_SOCKET, 8)
  control.writeInt32LE(SCM_RIGHTS, 12)
  for (const [index, descriptor] of descriptors.entries()) control.writeInt32LE(descriptor, controlHeader + index * 4)
  fillHeader(data.length, descriptors.length)
  let result: number
  do result = cSendmsg(fd, header, MSG_NOSIGNAL)
  while (result === -errnoNumbers.EINTR)
  if (result < 0) throw new SyscallError('sendmsg', -result, `${descriptors.length} descriptors`)
}

/** Receives descriptors (16 at most), close-on-exec, and the data sent with them; no data is the end of the stream. */
export function receiveDescriptors(fd: number): { data: Buffer; descriptors: number[] } {
  control.fill(0)
  fillHeader(payload.length, mostDescriptors)
  let result: number
  do result = cRecvmsg(fd, header, MSG_CMSG_CLOEXEC)
  while (result === -errnoNumbers.EINTR)
  if (result < 0) throw new SyscallError('recvmsg', -result, `${fd}`)
  const descriptors: number[] = []
  const length = header.readBigUInt64LE(40) === 0n ? 0 : Number(control.readBigUInt64LE(0))
  for (let at = controlHeader; at + 4 <= length; at += 4) descriptors.push(control.readInt32LE(at))
  return { data: Buffer.from(payload.subarray(0, result)), descriptors }
}

const SO_PEERCRED = 17
const SO_PEERGROUPS = 59
/** NGROUPS_MAX of limits.h. */
const mostGroups = 65536

function socketOption(fd: number, name: number, room: number): Buffer {
  const value = Buffer.alloc(room)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(room, 0)
  const result = cGetsockopt(fd, SOL_SOCKET, name, value, length)
  if (result < 0) throw new SyscallError('getsockopt', -result, `${name} of ${fd}`)
  return value.subarray(0, length.readUInt32LE(0))
}

/** Who the other end was when it connected, supplementary groups included: the kernel's word, unix(7); Linux 4.13. */
export function peerCredentials(fd: number): Credentials {
  const peer = socketOption(fd, SO_PEERCRED, 12)
  const groups = socketOption(fd, SO_PEERGROUPS, mostGroups * 4)
  const count = groups.length / 4
  return {
    uid: peer.readUInt32LE(4),
    gid: peer.readUInt32LE(8),
    groups: Array.from({ length: count }, (_, index) => groups.readUInt32LE(index * 4)),
  }
}
