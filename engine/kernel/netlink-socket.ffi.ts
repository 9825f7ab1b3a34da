/**
 * Netlink sockets: netlink(7). The kernel works a request off inside send(2), so the answer is there when it returns:
 * nothing here waits, and everything is synchronous.
 */
import { closeSync } from 'node:fs'
import koffi from 'koffi'
import { errnoNumbers } from './errno.table.ts'
import { declare, declareRaw, SyscallError } from './libc.ffi.ts'
import {
  errorOf,
  message,
  messagesIn,
  type NetlinkReply,
  type NetlinkRequest,
  netlinkFlags,
  netlinkTypes,
} from './netlink.ts'

const cSocket = declare('socket', 'int socket(int domain, int type, int protocol)', () => 'of netlink')
const cSetsockopt = declare(
  'setsockopt',
  'int setsockopt(int fd, int level, int option, void *value, unsigned int length)',
  (_fd, level, option) => `level ${level} option ${option}`,
)
const cBind = declare('bind', 'int bind(int fd, void *address, unsigned int length)', () => 'of netlink')
const cGetsockname = declare('getsockname', 'int getsockname(int fd, void *address, void *length)')
const cSend = declare('send', 'intptr_t send(int fd, void *data, size_t length, int flags)', () => 'to netlink')
const cRecv = declareRaw('intptr_t recv(int fd, void *data, size_t length, int flags)')

/** The same call on a thread of libuv's pool: a netlink socket belongs to its own network namespace, not the caller's. */
const sendElsewhere = koffi.load('libc.so.6').func('intptr_t send(int fd, void *data, size_t length, int flags)')

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const SOL_NETLINK = 270
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_ADD_MEMBERSHIP = 1
const SO_RCVBUFFORCE = 33
const MSG_TRUNC = 0x20
const MSG_DONTWAIT = 0x40

/** Multicast groups: linux/netfilter/nfnetlink.h. */
const groups = { NFNLGRP_NFTABLES: 7 } as const
/** Bytes of notifications that wait to be looked at. */
const eventRoom = 4 << 20

export const netlinkProtocols = { NETLINK_ROUTE: 0, NETLINK_NETFILTER: 12 } as const

const receiveBuffer = Buffer.alloc(256 * 1024)

/** A socket in the network namespace the calling thread is in at that moment. Dispose of it to close it. */
export class NetlinkSocket implements Disposable {
  readonly #fd: number
  #sequence = 1

  constructor(protocol: keyof typeof netlinkProtocols) {
    using cleanup = new DisposableStack()
    this.#fd = cleanup.adopt(cSocket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, netlinkProtocols[protocol]), closeSync)
    const on = Buffer.from([1, 0, 0, 0])
    cSetsockopt(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, on, 4)
    cSetsockopt(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, on, 4)
    cleanup.move()
  }

  /** One change, acknowledged. Throws SyscallError with the kernel's own words: `netlink add link x (…): EEXIST`. */
  change(request: NetlinkRequest): void {
    this.ask(request)
  }

  /** As `change`, for a request that is answered: the bodies of the answers. */
  ask(request: NetlinkRequest): Buffer[] {
    const sequence = this.#sequence++
    const bytes = message({ ...request, flags: request.flags | netlinkFlags.NLM_F_ACK }, sequence)
    cSend(this.#fd, bytes, bytes.length, 0)
    const replies = this.#drain([request], sequence)
    if (replies.length === 0) throw unanswered(request.purpose)
    return bodiesOf(replies)
  }

  /**
   * As `change`, without holding up the event loop: for what the kernel takes its time over (deleting a link waits for
   * every processor to have let go of it). Precondition: nothing else uses this socket until the promise settles.
   */
  async changeElsewhere(request: NetlinkRequest): Promise<void> {
    const sequence = this.#sequence++
    const bytes = message({ ...request, flags: request.flags | netlinkFlags.NLM_F_ACK }, sequence)
    await new Promise<void>((resolve, reject) =>
      sendElsewhere.async(this.#fd, bytes, bytes.length, 0, (error: Error | null) =>
        error === null ? resolve() : reject(error),
      ),
    )
    if (this.#drain([request], sequence).length === 0) throw unanswered(request.purpose)
  }

  /**
   * All or nothing, where the family knows batches (nf_tables): the first and last messages are its brackets. The
   * error thrown is that of the first request that failed.
   */
  batch(requests: readonly NetlinkRequest[]): void {
    const first = this.#sequence
    this.#sequence += requests.length
    // One acknowledgement is enough: errors come unasked. It is asked of the last request before the closing bracket.
    const asked = requests.length - 2
    const bytes = Buffer.concat(
      requests.map((request, index) =>
        message(
          index === asked ? { ...request, flags: request.flags | netlinkFlags.NLM_F_ACK } : request,
          first + index,
        ),
      ),
    )
    const room = Buffer.alloc(4)
    room.writeInt32LE(bytes.length * 2 + 65536)
    cSetsockopt(this.#fd, SOL_SOCKET, SO_SNDBUFFORCE, room, 4)
    cSend(this.#fd, bytes, bytes.length, 0)
    if (this.#drain(requests, first).length === 0) throw unanswered(requests[asked]?.purpose ?? 'batch')
  }

  /** All objects a dump request asks for: the bodies of the answers. Taken again when it changed meanwhile. */
  dump(request: NetlinkRequest): Buffer[] {
    for (let attempt = 0; ; attempt += 1) {
      const sequence = this.#sequence++
      const bytes = message({ ...request, flags: request.flags | netlinkFlags.NLM_F_DUMP }, sequence)
      cSend(this.#fd, bytes, bytes.length, 0)
      const replies = this.#drain([request], sequence)
      const torn = replies.some((reply) => (reply.flags & netlinkFlags.NLM_F_DUMP_INTR) !== 0)
      if (torn && attempt < 5) continue
      return bodiesOf(replies)
    }
  }

  /** What the kernel calls this socket: notifications carry it for the changes that were asked for here. */
  get portId(): number {
    const address = Buffer.alloc(12)
    cGetsockname(this.#fd, address, Buffer.from([12, 0, 0, 0]))
    return address.readUInt32LE(4)
  }

  /** From now on this socket is told of changes, and is for nothing else: `pending` reads them. */
  subscribe(group: keyof typeof groups): void {
    const number = Buffer.alloc(4)
    number.writeInt32LE(eventRoom)
    cSetsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, number, 4)
    number.writeInt32LE(groups[group])
    // A socket without a name of its own is passed over: notifications leave out the port 0 where nobody is to be left out.
    const address = Buffer.alloc(12)
    address.writeUInt16LE(AF_NETLINK, 0)
    cBind(this.#fd, address, address.length)
    cSetsockopt(this.#fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, number, 4)
  }

  /** The notifications so far; `lost`: there were more than the socket has room for. Does not wait. */
  pending(): { replies: NetlinkReply[]; lost: boolean } {
    const replies: NetlinkReply[] = []
    let lost = false
    for (;;) {
      const length = cRecv(this.#fd, receiveBuffer, receiveBuffer.length, MSG_DONTWAIT)
      if (length === -errnoNumbers.EINTR) continue
      if (length === -errnoNumbers.ENOBUFS) lost = true
      else if (length < 0) return { replies, lost }
      else replies.push(...messagesIn(Buffer.from(receiveBuffer.subarray(0, length))))
    }
  }

  /** Reads all there is; throws the first error. `first` is the sequence number of the first request. */
  #drain(requests: readonly NetlinkRequest[], first: number): NetlinkReply[] {
    const replies: NetlinkReply[] = []
    let failure: SyscallError | undefined
    for (;;) {
      const length = cRecv(this.#fd, receiveBuffer, receiveBuffer.length, MSG_DONTWAIT | MSG_TRUNC)
      if (length === -errnoNumbers.EINTR) continue
      if (length === -errnoNumbers.EAGAIN) break
      if (length < 0) throw new SyscallError('recv', -length, 'from netlink')
      if (length > receiveBuffer.length)
        throw new Error(`netlink answered with ${length} bytes at once: more than the ${receiveBuffer.length} expected`)
      for (const reply of messagesIn(Buffer.from(receiveBuffer.subarray(0, length)))) {
        replies.push(reply)
        if (reply.type === netlinkTypes.NLMSG_ERROR) failure ??= failureOf(reply, requests, first)
      }
    }
    if (failure !== undefined) throw failure
    return replies
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}

const SOL_SOCKET = 1
const SO_SNDBUFFORCE = 32

function failureOf(reply: NetlinkReply, requests: readonly NetlinkRequest[], first: number): SyscallError | undefined {
  const { errno, text } = errorOf(reply)
  if (errno === 0) return undefined
  const purpose = requests[reply.sequence - first]?.purpose ?? 'request'
  return new SyscallError('netlink', errno, text === '' ? purpose : `${purpose} (${text})`)
}

const bodiesOf = (replies: readonly NetlinkReply[]): Buffer[] =>
  replies.filter((reply) => reply.type > netlinkTypes.NLMSG_DONE).map((reply) => reply.body)

const unanswered = (purpose: string): Error => new Error(`netlink ${purpose}: the kernel gave no answer`)
