/** Stream sockets of the local machine, for processes without an event loop: unix(7), socketpair(2). */
import { declare, declareRaw } from './libc.ffi.ts'

const cSocket = declare('socket', 'int socket(int domain, int type, int protocol)')
const cSocketpair = declare('socketpair', 'int socketpair(int domain, int type, int protocol, void *ends)')
const cBind = declare('bind', 'int bind(int fd, void *address, unsigned int length)')
const cListen = declare('listen', 'int listen(int fd, int backlog)')
const cAccept4 = declareRaw('int accept4(int fd, void *address, void *length, int flags)')
const cShutdown = declareRaw('int shutdown(int fd, int how)')

const AF_UNIX = 1
const SOCK_STREAM = 1
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

/** A listening socket at `path` (at most 107 bytes), close-on-exec and non-blocking. The path must not exist. */
export function listen(path: string, backlog = 64): number {
  const fd = cSocket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
  const address = addressFor(path)
  cBind(fd, address, address.length)
  cListen(fd, backlog)
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
