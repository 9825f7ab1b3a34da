/** Stream sockets of the local machine, for processes without an event loop: unix(7), socketpair(2), SCM_RIGHTS. */
import { addressOf, declare, declareRaw } from './libc.ffi.ts'

const cSocket = declare('socket', 'int socket(int domain, int type, int protocol)')
const cSocketpair = declare('socketpair', 'int socketpair(int domain, int type, int protocol, void *ends)')
const cBind = declare('bind', 'int bind(int fd, void *address, unsigned int length)')
const cListen = declare('listen', 'int listen(int fd, int backlog)')
const cConnect = declare('connect', 'int connect(int fd, void *address, unsigned int length)')
const cAccept4 = declareRaw('int accept4(int fd, void *address, void *length, int flags)')
const cShutdown = declareRaw('int shutdown(int fd, int how)')
const cSendmsg = declare('sendmsg', 'intptr_t sendmsg(int fd, void *message, int flags)')

const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SHUT_WR = 1
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
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

/** A listening socket at `path` (at most 107 bytes), close-on-exec and non-blocking. The path must not exist. */
export function listen(path: string, backlog = 64): number {
  const fd = cSocket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
  const address = addressFor(path)
  cBind(fd, address, address.length)
  cListen(fd, backlog)
  return fd
}

/** Connects, blocking; unix(7). */
export function connect(path: string): number {
  const fd = cSocket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
  const address = addressFor(path)
  cConnect(fd, address, address.length)
  return fd
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

/** Sends one descriptor with `data` (at least a byte) as its message; SCM_RIGHTS in unix(7). */
export function sendDescriptor(socket: number, descriptor: number, data: Buffer): void {
  const vector = Buffer.alloc(16)
  vector.writeBigUInt64LE(addressOf(data), 0)
  vector.writeBigUInt64LE(BigInt(data.length), 8)
  const control = Buffer.alloc(24)
  control.writeBigUInt64LE(20n, 0)
  control.writeInt32LE(SOL_SOCKET, 8)
  control.writeInt32LE(SCM_RIGHTS, 12)
  control.writeInt32LE(descriptor, 16)
  const message = Buffer.alloc(56)
  message.writeBigUInt64LE(addressOf(vector), 16)
  message.writeBigUInt64LE(1n, 24)
  message.writeBigUInt64LE(addressOf(control), 32)
  message.writeBigUInt64LE(24n, 40)
  cSendmsg(socket, message, 0)
}
