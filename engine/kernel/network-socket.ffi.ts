/** Sockets that Node makes too late or not at all: bound at once with the error in hand, or inside another network namespace. */
import { closeSync } from 'node:fs'
import { errnoNumbers } from './errno.table.ts'
import { declare, declareRaw, SyscallError } from './libc.ffi.ts'

const cSocket = declare('socket', 'int socket(int domain, int type, int protocol)', (domain) => `of family ${domain}`)
const cSetsockopt = declare(
  'setsockopt',
  'int setsockopt(int fd, int level, int option, void *value, unsigned int length)',
)
const cGetsockopt = declare('getsockopt', 'int getsockopt(int fd, int level, int option, void *value, void *length)')
const cBind = declareRaw('int bind(int fd, void *address, unsigned int length)')
const cListen = declareRaw('int listen(int fd, int backlog)')
const cGetsockname = declare('getsockname', 'int getsockname(int fd, void *address, void *length)')
const cConnect = declareRaw('int connect(int fd, void *address, unsigned int length)')
const cRecvfrom = declareRaw(
  'intptr_t recvfrom(int fd, void *data, size_t length, int flags, void *address, void *size)',
)
const cSendto = declareRaw(
  'intptr_t sendto(int fd, void *data, size_t length, int flags, void *address, unsigned int size)',
)
const cPoll = declareRaw('int poll(void *fds, unsigned long count, int timeout)')

const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_ERROR = 4
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const POLLOUT = 4

/** struct sockaddr_in or sockaddr_in6, by the address's length: 4 or 16 bytes. */
function socketAddress(address: Buffer, port: number): Buffer {
  const bytes = Buffer.alloc(address.length === 4 ? 16 : 28)
  bytes.writeUInt16LE(address.length === 4 ? AF_INET : AF_INET6, 0)
  bytes.writeUInt16BE(port, 2)
  address.copy(bytes, address.length === 4 ? 4 : 8)
  return bytes
}

const one = Buffer.from([1, 0, 0, 0])

export type BoundSocket = { fd: number; port: number }

/**
 * A socket of `address` (4 or 16 bytes) and `port` (0: the kernel picks one), close-on-exec and non-blocking; a TCP one
 * listens already, so that nobody else can take the port. IPv6 is bound for IPv6 alone.
 */
export function bindSocket(protocol: 'tcp' | 'udp', address: Buffer, port: number, detail: string): BoundSocket {
  using cleanup = new DisposableStack()
  const family = address.length === 4 ? AF_INET : AF_INET6
  const type = protocol === 'tcp' ? SOCK_STREAM : SOCK_DGRAM
  const fd = cleanup.adopt(cSocket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), closeSync)
  // Connections of the last holder that are still in TIME_WAIT must not keep the port from us.
  if (protocol === 'tcp') cSetsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one, 4)
  if (family === AF_INET6) cSetsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, one, 4)
  const name = socketAddress(address, port)
  const bound = cBind(fd, name, name.length)
  if (bound < 0) throw new SyscallError('bind', -bound, detail)
  const listening = protocol === 'tcp' ? cListen(fd, 511) : 0
  if (listening < 0) throw new SyscallError('listen', -listening, detail)
  const length = Buffer.from([name.length, 0, 0, 0])
  cGetsockname(fd, name, length)
  cleanup.move()
  return { fd, port: name.readUInt16BE(2) }
}

/**
 * Begins a TCP connection in the caller's network namespace and does not wait for it: a descriptor, non-blocking and
 * close-on-exec. `connectionState` says how it goes on.
 */
export function beginConnection(address: Buffer, port: number, detail: string): number {
  using cleanup = new DisposableStack()
  const family = address.length === 4 ? AF_INET : AF_INET6
  const fd = cleanup.adopt(cSocket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), closeSync)
  const name = socketAddress(address, port)
  const result = cConnect(fd, name, name.length)
  if (result < 0 && result !== -errnoNumbers.EINPROGRESS) throw new SyscallError('connect', -result, detail)
  cleanup.move()
  return fd
}

/** Whether the connection stands; throws what connect(2) would have said. Does not wait. */
export function connectionState(fd: number, detail: string): 'pending' | 'connected' {
  const entry = Buffer.alloc(8)
  entry.writeInt32LE(fd, 0)
  entry.writeInt16LE(POLLOUT, 4)
  if (cPoll(entry, 1, 0) <= 0) return 'pending'
  const error = Buffer.alloc(4)
  cGetsockopt(fd, SOL_SOCKET, SO_ERROR, error, Buffer.from([4, 0, 0, 0]))
  if (error.readInt32LE(0) !== 0) throw new SyscallError('connect', error.readInt32LE(0), detail)
  return 'connected'
}

/** A datagram socket that only hears this peer; what the peer's machine refuses shows as the error of a later call. */
export function connectDatagrams(address: Buffer, port: number, detail: string): number {
  using cleanup = new DisposableStack()
  const family = address.length === 4 ? AF_INET : AF_INET6
  const fd = cleanup.adopt(cSocket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), closeSync)
  const name = socketAddress(address, port)
  const result = cConnect(fd, name, name.length)
  if (result < 0) throw new SyscallError('connect', -result, detail)
  cleanup.move()
  return fd
}

const senderAddress = Buffer.alloc(28)
const senderLength = Buffer.alloc(4)

/** The next waiting datagram: its length in `into`, and whom to answer. undefined when there is none. Does not wait. */
export function receiveDatagram(fd: number, into: Buffer): { length: number; from: Buffer } | undefined {
  senderLength.writeInt32LE(senderAddress.length)
  const length = cRecvfrom(fd, into, into.length, 0, senderAddress, senderLength)
  if (length < 0) return undefined
  return { length, from: Buffer.from(senderAddress.subarray(0, senderLength.readInt32LE(0))) }
}

/** Back to where a datagram came from. One that cannot be sent now is lost, as datagrams are. */
export const sendDatagram = (fd: number, data: Buffer, to: Buffer): void => {
  cSendto(fd, data, data.length, 0, to, to.length)
}
