/** What ip(8) says to the kernel, as messages: rtnetlink(7). Addresses are 4 or 16 bytes in network order. */
import { attribute, attributesIn, type NetlinkRequest, nest, netlinkFlags, text, textOf, u8, u32 } from './netlink.ts'

const { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } = netlinkFlags

const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_GETLINK = 18
const RTM_NEWADDR = 20
const RTM_GETADDR = 22
const RTM_NEWROUTE = 24
const RTM_DELROUTE = 25
const RTM_GETROUTE = 26

const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_MTU = 4
const IFLA_MASTER = 10
const IFLA_LINKINFO = 18
const IFLA_STATS64 = 23
const IFLA_NET_NS_FD = 28
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const VETH_INFO_PEER = 1
const IFLA_INFO_SLAVE_KIND = 4
const IFLA_INFO_SLAVE_DATA = 5
const IFLA_BRPORT_MODE = 4
const IFLA_BRPORT_ISOLATED = 33
const IFF_UP = 1

const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_BROADCAST = 4
const IFA_F_NODAD = 2
const IFA_F_PERMANENT = 0x80

const RTA_DST = 1
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RT_TABLE_MAIN = 254
const RTPROT_STATIC = 4
const RT_SCOPE_UNIVERSE = 0
const RT_SCOPE_LINK = 253
const RTN_UNICAST = 1

const AF_INET = 2
const AF_INET6 = 10
const familyOf = (address: Buffer): number => (address.length === 4 ? AF_INET : AF_INET6)

/** struct ifinfomsg. `index` 0: the link is named by IFLA_IFNAME. */
function linkHeader(index: number, flags = 0, change = 0): Buffer {
  const header = Buffer.alloc(16)
  header.writeInt32LE(index, 4)
  header.writeUInt32LE(flags, 8)
  header.writeUInt32LE(change, 12)
  return header
}

const request = (type: number, flags: number, purpose: string, ...parts: Buffer[]): NetlinkRequest => ({
  type,
  flags,
  purpose,
  body: Buffer.concat(parts),
})

const created = NLM_F_CREATE | NLM_F_EXCL

/** Six bytes of `02:42:ac:11:00:02`. */
export const hardwareAddress = (mac: string): Buffer => Buffer.from(mac.replaceAll(/[:-]/g, ''), 'hex')

export type LinkOptions = { mac?: string; mtu?: number }

const linkOptions = (options: LinkOptions): Buffer[] => [
  ...(options.mac === undefined ? [] : [attribute(IFLA_ADDRESS, hardwareAddress(options.mac))]),
  ...(options.mtu === undefined ? [] : [u32(IFLA_MTU, options.mtu)]),
]

/** `ip link add NAME type bridge` */
export const addBridge = (name: string, options: LinkOptions = {}): NetlinkRequest =>
  request(
    RTM_NEWLINK,
    created,
    `add bridge ${name}`,
    linkHeader(0),
    text(IFLA_IFNAME, name),
    ...linkOptions(options),
    nest(IFLA_LINKINFO, text(IFLA_INFO_KIND, 'bridge')),
  )

export type VethPair = LinkOptions & {
  /** The end that stays, and its bridge's index. */
  name: string
  master?: number
  /** The other end, put into the namespace of this descriptor; `mac` and `mtu` are its. */
  peer: { name: string; namespace: number } & LinkOptions
}

/** `ip link add NAME up master M type veth peer name PEER netns FD`: both ends in one message. */
export const addVeth = (pair: VethPair): NetlinkRequest =>
  request(
    RTM_NEWLINK,
    created,
    `add veth ${pair.name} with peer ${pair.peer.name}`,
    linkHeader(0, IFF_UP, IFF_UP),
    text(IFLA_IFNAME, pair.name),
    ...linkOptions(pair),
    ...(pair.master === undefined ? [] : [u32(IFLA_MASTER, pair.master)]),
    nest(
      IFLA_LINKINFO,
      text(IFLA_INFO_KIND, 'veth'),
      nest(
        IFLA_INFO_DATA,
        nest(
          VETH_INFO_PEER,
          linkHeader(0),
          text(IFLA_IFNAME, pair.peer.name),
          ...linkOptions(pair.peer),
          u32(IFLA_NET_NS_FD, pair.peer.namespace),
        ),
      ),
    ),
  )

/** A link by its name, or by its index. */
export type LinkReference = string | number

const referTo = (link: LinkReference, flags = 0, change = 0): Buffer[] =>
  typeof link === 'number' ? [linkHeader(link, flags, change)] : [linkHeader(0, flags, change), text(IFLA_IFNAME, link)]

/** `ip link set LINK up` or `down` */
export const setLinkUp = (link: LinkReference, up: boolean): NetlinkRequest =>
  request(RTM_NEWLINK, 0, `set link ${link} ${up ? 'up' : 'down'}`, ...referTo(link, up ? IFF_UP : 0, IFF_UP))

/** `ip link set LINK master M`; 0 takes it out of its bridge. */
export const setLinkMaster = (link: LinkReference, master: number): NetlinkRequest =>
  request(RTM_NEWLINK, 0, `set master of link ${link}`, ...referTo(link), u32(IFLA_MASTER, master))

/** `ip link set LINK type bridge_slave hairpin on`: the bridge may send a frame out of the port it came in by. */
export const setLinkHairpin = (link: LinkReference, on: boolean): NetlinkRequest =>
  request(
    RTM_NEWLINK,
    0,
    `set hairpin of link ${link}`,
    ...referTo(link),
    nest(
      IFLA_LINKINFO,
      text(IFLA_INFO_SLAVE_KIND, 'bridge'),
      nest(IFLA_INFO_SLAVE_DATA, u8(IFLA_BRPORT_MODE, on ? 1 : 0)),
    ),
  )

/** `ip link set LINK type bridge_slave isolated on`: the bridge leads nothing from it to another isolated port. */
export const setLinkIsolated = (link: LinkReference): NetlinkRequest =>
  request(
    RTM_NEWLINK,
    0,
    `isolate link ${link}`,
    ...referTo(link),
    nest(IFLA_LINKINFO, text(IFLA_INFO_SLAVE_KIND, 'bridge'), nest(IFLA_INFO_SLAVE_DATA, u8(IFLA_BRPORT_ISOLATED, 1))),
  )

/** `ip link set LINK address MAC mtu N` */
export const setLinkOptions = (link: LinkReference, options: LinkOptions): NetlinkRequest =>
  request(RTM_NEWLINK, 0, `set options of link ${link}`, ...referTo(link), ...linkOptions(options))

/** `ip link set dev INDEX name NAME` */
export const renameLink = (index: number, name: string): NetlinkRequest =>
  request(RTM_NEWLINK, 0, `rename link ${index} to ${name}`, linkHeader(index), text(IFLA_IFNAME, name))

/** `ip link set dev INDEX netns … name NAME`; the namespace by an open descriptor. */
export const moveLink = (index: number, namespace: number, name: string): NetlinkRequest =>
  request(
    RTM_NEWLINK,
    0,
    `move link ${index} as ${name}`,
    linkHeader(index),
    u32(IFLA_NET_NS_FD, namespace),
    text(IFLA_IFNAME, name),
  )

/** `ip link delete LINK`. Deleting one end of a veth pair deletes the other. */
export const deleteLink = (link: LinkReference): NetlinkRequest =>
  request(RTM_DELLINK, 0, `delete link ${link}`, ...referTo(link))

/** `ip address add ADDRESS/PREFIX dev INDEX`; IPv6 without duplicate detection: the addresses are given out here. */
export function addAddress(index: number, address: Buffer, prefixLength: number): NetlinkRequest {
  const header = Buffer.alloc(8)
  header.writeUInt8(familyOf(address), 0)
  header.writeUInt8(prefixLength, 1)
  header.writeUInt8(address.length === 16 ? IFA_F_NODAD : 0, 2)
  header.writeUInt32LE(index, 4)
  const parts = [header, attribute(IFA_LOCAL, address), attribute(IFA_ADDRESS, address)]
  if (address.length === 4 && prefixLength < 31) {
    const hosts = 0xffffffff >>> prefixLength
    const broadcast = Buffer.alloc(4)
    broadcast.writeUInt32BE((address.readUInt32BE(0) | hosts) >>> 0)
    parts.push(attribute(IFA_BROADCAST, broadcast))
  }
  return request(RTM_NEWADDR, created, `add address to link ${index}`, ...parts)
}

export type Route = {
  /** Absent: the default route. */
  destination?: { address: Buffer; prefixLength: number }
  gateway: Buffer
  /** The link's index, where the gateway alone does not say it. */
  link?: number
}

function routeParts(route: Route): Buffer[] {
  const header = Buffer.alloc(12)
  header.writeUInt8(familyOf(route.gateway), 0)
  header.writeUInt8(route.destination?.prefixLength ?? 0, 1)
  header.writeUInt8(RT_TABLE_MAIN, 4)
  header.writeUInt8(RTPROT_STATIC, 5)
  header.writeUInt8(RT_SCOPE_UNIVERSE, 6)
  header.writeUInt8(RTN_UNICAST, 7)
  return [
    header,
    ...(route.destination === undefined ? [] : [attribute(RTA_DST, route.destination.address)]),
    attribute(RTA_GATEWAY, route.gateway),
    ...(route.link === undefined ? [] : [u32(RTA_OIF, route.link)]),
  ]
}

/** `ip route add DESTINATION via GATEWAY` */
export const addRoute = (route: Route): NetlinkRequest =>
  request(RTM_NEWROUTE, created, 'add route', ...routeParts(route))

/** `ip route add default dev INDEX` */
export function addDeviceRoute(version: 4 | 6, link: number): NetlinkRequest {
  const header = Buffer.alloc(12)
  header.writeUInt8(version === 4 ? AF_INET : AF_INET6, 0)
  header.writeUInt8(RT_TABLE_MAIN, 4)
  header.writeUInt8(RTPROT_STATIC, 5)
  header.writeUInt8(RT_SCOPE_LINK, 6)
  header.writeUInt8(RTN_UNICAST, 7)
  return request(RTM_NEWROUTE, created, 'add default route', header, u32(RTA_OIF, link))
}

/** `ip route replace DESTINATION via GATEWAY` */
export const replaceRoute = (route: Route): NetlinkRequest =>
  request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, 'replace route', ...routeParts(route))

/** `ip route delete DESTINATION via GATEWAY` */
export const deleteRoute = (route: Route): NetlinkRequest =>
  request(RTM_DELROUTE, 0, 'delete route', ...routeParts(route))

/**
 * For NetlinkSocket.ask: one link; ENODEV when there is none. Since Linux 6.8 the kernel catches up with the link's
 * carrier before it answers, which otherwise happens some milliseconds later in the background.
 */
export const queryLink = (link: LinkReference): NetlinkRequest =>
  request(RTM_GETLINK, 0, `look for link ${link}`, ...referTo(link))
/** For NetlinkSocket.dump: every link; `linkIn` reads the answers. */
export const listLinks = (): NetlinkRequest => request(RTM_GETLINK, 0, 'list links', linkHeader(0))
/** Every address; `addressIn` reads the answers. */
export const listAddresses = (): NetlinkRequest => request(RTM_GETADDR, 0, 'list addresses', Buffer.alloc(8))
/** Every IPv4 or IPv6 route; `routeIn` reads the answers. */
export const listRoutes = (version: 4 | 6): NetlinkRequest => {
  const header = Buffer.alloc(12)
  header.writeUInt8(version === 4 ? AF_INET : AF_INET6, 0)
  return request(RTM_GETROUTE, 0, 'list routes', header)
}

export type LinkCounters = {
  rx_packets: number
  tx_packets: number
  rx_bytes: number
  tx_bytes: number
  rx_errors: number
  tx_errors: number
  rx_dropped: number
  tx_dropped: number
}

export type Link = {
  index: number
  name: string
  up: boolean
  /** The index of its bridge; 0: none. */
  master: number
  mac: string
  mtu: number
  /** `bridge`, `veth` …; '' for a physical one. */
  kind: string
  counters: LinkCounters
}

/** The first eight fields of struct rtnl_link_stats64, in this order. */
const counterNames = [
  'rx_packets',
  'tx_packets',
  'rx_bytes',
  'tx_bytes',
  'rx_errors',
  'tx_errors',
  'rx_dropped',
  'tx_dropped',
] as const

function countersIn(payload: Buffer | undefined): LinkCounters {
  const value = (slot: number): number =>
    payload !== undefined && payload.length >= slot * 8 + 8 ? Number(payload.readBigUInt64LE(slot * 8)) : 0
  return Object.fromEntries(counterNames.map((name, slot) => [name, value(slot)])) as LinkCounters
}

const numberIn = (payload: Buffer | undefined): number =>
  payload !== undefined && payload.length >= 4 ? payload.readUInt32LE(0) : 0

export function linkIn(body: Buffer): Link {
  const attributes = attributesIn(body.subarray(16))
  const info = attributes.get(IFLA_LINKINFO)
  return {
    index: body.readInt32LE(4),
    name: textOf(attributes.get(IFLA_IFNAME)),
    up: (body.readUInt32LE(8) & IFF_UP) !== 0,
    master: numberIn(attributes.get(IFLA_MASTER)),
    mac:
      attributes
        .get(IFLA_ADDRESS)
        ?.toString('hex')
        .replaceAll(/(..)(?=.)/g, '$1:') ?? '',
    mtu: numberIn(attributes.get(IFLA_MTU)),
    kind: info === undefined ? '' : textOf(attributesIn(info).get(IFLA_INFO_KIND)),
    counters: countersIn(attributes.get(IFLA_STATS64)),
  }
}

export type LinkAddress = {
  index: number
  address: Buffer
  prefixLength: number
  /** Not one that runs out, as by router advertisements. */
  permanent: boolean
  /** Valid beyond the link and the machine: RT_SCOPE_UNIVERSE. */
  everywhere: boolean
}

export function addressIn(body: Buffer): LinkAddress {
  const attributes = attributesIn(body.subarray(8))
  return {
    index: body.readUInt32LE(4),
    address: attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS) ?? Buffer.alloc(0),
    prefixLength: body.readUInt8(1),
    permanent: (body.readUInt8(2) & IFA_F_PERMANENT) !== 0,
    everywhere: body.readUInt8(3) === 0,
  }
}

export type KnownRoute = {
  /** Empty: the default route. */
  destination: Buffer
  prefixLength: number
  gateway: Buffer | undefined
  /** The index of the link it leads out of. */
  link: number
  /** Only those of the main table decide where an ordinary packet goes. */
  main: boolean
}

export function routeIn(body: Buffer): KnownRoute {
  const attributes = attributesIn(body.subarray(12))
  return {
    destination: attributes.get(RTA_DST) ?? Buffer.alloc(0),
    prefixLength: body.readUInt8(1),
    gateway: attributes.get(RTA_GATEWAY),
    link: numberIn(attributes.get(RTA_OIF)),
    main: body.readUInt8(4) === RT_TABLE_MAIN,
  }
}
