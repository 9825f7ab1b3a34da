/**
 * Netlink messages as bytes: netlink(7). Pure: values in, bytes out, and back. Numbers are in the machine's byte order
 * (little-endian on every machine the engine runs on) unless a function says big-endian.
 */

/** Flags of a message header; netlink(7). */
export const netlinkFlags = {
  NLM_F_REQUEST: 0x1,
  NLM_F_MULTI: 0x2,
  NLM_F_ACK: 0x4,
  NLM_F_DUMP_INTR: 0x10,
  NLM_F_CAPPED: 0x100,
  NLM_F_ACK_TLVS: 0x200,
  NLM_F_DUMP: 0x300,
  NLM_F_REPLACE: 0x100,
  NLM_F_EXCL: 0x200,
  NLM_F_CREATE: 0x400,
  NLM_F_APPEND: 0x800,
} as const

const NLA_F_NESTED = 0x8000
const NLA_TYPE_MASK = 0x3fff
const headerLength = 16

/** A message without its sequence number, which the socket gives it when it is sent. */
export type NetlinkRequest = {
  readonly type: number
  /** Beside NLM_F_REQUEST. */
  readonly flags: number
  /** The family's fixed header, then attributes. */
  readonly body: Buffer
  /** For the error message: what is tried, on what. */
  readonly purpose: string
}

const padded = (length: number): number => (length + 3) & ~3

/** One attribute: length, type, payload, padding. */
export function attribute(type: number, payload: Buffer): Buffer {
  const length = 4 + payload.length
  if (length > 0xffff) throw new RangeError(`netlink attribute ${type} of ${length} bytes: at most 65535`)
  const bytes = Buffer.alloc(padded(length))
  bytes.writeUInt16LE(length, 0)
  bytes.writeUInt16LE(type, 2)
  payload.copy(bytes, 4)
  return bytes
}

export const nest = (type: number, ...attributes: readonly Buffer[]): Buffer =>
  attribute(type | NLA_F_NESTED, Buffer.concat(attributes))

/** NUL-terminated. */
export const text = (type: number, value: string): Buffer => attribute(type, Buffer.from(`${value}\0`))

export function u8(type: number, value: number): Buffer {
  return attribute(type, Buffer.of(value))
}

export function u32(type: number, value: number): Buffer {
  const payload = Buffer.alloc(4)
  payload.writeUInt32LE(value >>> 0)
  return attribute(type, payload)
}

/** Big-endian, as all numbers of nf_tables are. */
export function u32be(type: number, value: number): Buffer {
  const payload = Buffer.alloc(4)
  payload.writeUInt32BE(value >>> 0)
  return attribute(type, payload)
}

/** The whole message, padded: struct nlmsghdr and body. */
export function message(request: NetlinkRequest, sequence: number): Buffer {
  const length = headerLength + request.body.length
  const bytes = Buffer.alloc(padded(length))
  bytes.writeUInt32LE(length, 0)
  bytes.writeUInt16LE(request.type, 4)
  bytes.writeUInt16LE(request.flags | netlinkFlags.NLM_F_REQUEST, 6)
  bytes.writeUInt32LE(sequence >>> 0, 8)
  request.body.copy(bytes, headerLength)
  return bytes
}

/** `port`: of whoever asked for what a notification tells of. */
export type NetlinkReply = { type: number; flags: number; sequence: number; port: number; body: Buffer }

/** The messages of one datagram. A length that leads out of it ends the list. */
export function messagesIn(datagram: Buffer): NetlinkReply[] {
  const replies: NetlinkReply[] = []
  for (let at = 0; at + headerLength <= datagram.length; ) {
    const length = datagram.readUInt32LE(at)
    if (length < headerLength || at + length > datagram.length) break
    replies.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      port: datagram.readUInt32LE(at + 12),
      body: datagram.subarray(at + headerLength, at + length),
    })
    at += padded(length)
  }
  return replies
}

/** Attributes by type; of a repeated one the last counts. */
export function attributesIn(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at)
    if (length < 4 || at + length > bytes.length) break
    found.set(bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK, bytes.subarray(at + 4, at + length))
    at += padded(length)
  }
  return found
}

/** A text attribute without its NUL. */
export const textOf = (payload: Buffer | undefined): string => payload?.toString('utf8').replace(/\0.*$/s, '') ?? ''

export const netlinkTypes = { NLMSG_ERROR: 2, NLMSG_DONE: 3 } as const

const NLMSGERR_ATTR_MSG = 1

/**
 * What an NLMSG_ERROR says: 0 is an acknowledgement, else a positive errno and the kernel's own sentence where it has
 * one. The request it quotes is cut to its header (NETLINK_CAP_ACK); its attributes follow (NETLINK_EXT_ACK).
 */
export function errorOf(reply: NetlinkReply): { errno: number; text: string } {
  if (reply.body.length < 4) return { errno: 0, text: '' }
  const errno = -reply.body.readInt32LE(0)
  if ((reply.flags & netlinkFlags.NLM_F_ACK_TLVS) === 0 || reply.body.length < 4 + headerLength)
    return { errno, text: '' }
  const quoted = (reply.flags & netlinkFlags.NLM_F_CAPPED) === 0 ? padded(reply.body.readUInt32LE(4)) : headerLength
  return { errno, text: textOf(attributesIn(reply.body.subarray(4 + quoted)).get(NLMSGERR_ATTR_MSG)) }
}
