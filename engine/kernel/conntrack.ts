/** Tracked connections, forgotten by what they have in common: linux/netfilter/nfnetlink_conntrack.h. Pure. */
import { attribute, type NetlinkRequest, nest, u8, u32 } from './netlink.ts'

const NFNL_SUBSYS_CTNETLINK = 1
const IPCTNL_MSG_CT_DELETE = 2
const AF_INET = 2
const AF_INET6 = 10

const CTA_TUPLE_ORIG = 1
const CTA_TUPLE_REPLY = 2
const CTA_FILTER = 25
const CTA_TUPLE_IP = 1
const CTA_TUPLE_PROTO = 2
const CTA_IP_V4_SRC = 1
const CTA_IP_V6_SRC = 3
const CTA_PROTO_NUM = 1
const CTA_PROTO_DST_PORT = 3
const CTA_FILTER_ORIG_FLAGS = 1
const CTA_FILTER_REPLY_FLAGS = 2

/** Which parts of a tuple count, as bits; Linux 5.8. */
const counts = { source: 1 << 0, protocol: 1 << 3, destinationPort: 1 << 5 } as const

const forget = (family: number, purpose: string, ...attributes: Buffer[]): NetlinkRequest => ({
  type: (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE,
  flags: 0,
  purpose,
  body: Buffer.concat([Buffer.of(family, 0, 0, 0), ...attributes]),
})

const filter = (original: number, reply: number): Buffer =>
  nest(CTA_FILTER, u32(CTA_FILTER_ORIG_FLAGS, original), u32(CTA_FILTER_REPLY_FLAGS, reply))

/** `conntrack -D --reply-src ADDRESS`: everything that this address (4 or 16 bytes) is the answering side of. */
export const forgetAnsweredBy = (address: Buffer): NetlinkRequest =>
  forget(
    address.length === 4 ? AF_INET : AF_INET6,
    'forget connections to an address',
    nest(CTA_TUPLE_REPLY, nest(CTA_TUPLE_IP, attribute(address.length === 4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, address))),
    filter(0, counts.source),
  )

const protocolNumbers = { tcp: 6, udp: 17 } as const

/** `conntrack -D -p PROTOCOL --dport PORT` */
export const forgetToPort = (version: 4 | 6, protocol: keyof typeof protocolNumbers, port: number): NetlinkRequest =>
  forget(
    version === 4 ? AF_INET : AF_INET6,
    `forget connections to ${protocol} port ${port}`,
    nest(
      CTA_TUPLE_ORIG,
      nest(
        CTA_TUPLE_PROTO,
        u8(CTA_PROTO_NUM, protocolNumbers[protocol]),
        attribute(CTA_PROTO_DST_PORT, Buffer.of(port >> 8, port & 0xff)),
      ),
    ),
    filter(counts.protocol | counts.destinationPort, 0),
  )
