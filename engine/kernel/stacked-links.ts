/** Links that stand on another link: macvlan, ipvlan, VLANs; ip-link(8), linux/if_link.h. Pure. */
import { attribute, type NetlinkRequest, nest, netlinkFlags, text, u32 } from './netlink.ts'
import { hardwareAddress, type LinkOptions } from './route-messages.ts'

const RTM_NEWLINK = 16
const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_MTU = 4
const IFLA_LINK = 5
const IFLA_LINKINFO = 18
const IFLA_NET_NS_FD = 28
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const IFLA_MACVLAN_MODE = 1
const IFLA_IPVLAN_MODE = 1
const IFLA_IPVLAN_FLAGS = 2
const IFLA_VLAN_ID = 1

const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const
const ipvlanModes = { l2: 0, l3: 1, l3s: 2 } as const
const ipvlanFlags = { bridge: 0, private: 1, vepa: 2 } as const

export type MacvlanMode = keyof typeof macvlanModes
export type IpvlanMode = keyof typeof ipvlanModes
export type IpvlanFlag = keyof typeof ipvlanFlags

export type StackedKind =
  | { type: 'macvlan'; mode: MacvlanMode }
  | { type: 'ipvlan'; mode: IpvlanMode; flag: IpvlanFlag }
  | { type: 'vlan'; number: number }

export type StackedLink = LinkOptions & {
  name: string
  /** The index of the link below, in the namespace of the socket. */
  parent: number
  kind: StackedKind
  /** A descriptor: where the new link goes; absent: where the socket is. */
  namespace?: number
}

function u16(type: number, value: number): Buffer {
  const payload = Buffer.alloc(2)
  payload.writeUInt16LE(value)
  return attribute(type, payload)
}

function kindData(kind: StackedKind): Buffer[] {
  if (kind.type === 'macvlan') return [u32(IFLA_MACVLAN_MODE, macvlanModes[kind.mode])]
  if (kind.type === 'vlan') return [u16(IFLA_VLAN_ID, kind.number)]
  return [u16(IFLA_IPVLAN_MODE, ipvlanModes[kind.mode]), u16(IFLA_IPVLAN_FLAGS, ipvlanFlags[kind.flag])]
}

/** `ip link add link PARENT name NAME netns FD type KIND …`; ENOTSUP on a kernel that lacks the kind. */
export const addStackedLink = (link: StackedLink): NetlinkRequest => ({
  type: RTM_NEWLINK,
  flags: netlinkFlags.NLM_F_CREATE | netlinkFlags.NLM_F_EXCL,
  purpose: `add ${link.kind.type} ${link.name}`,
  body: Buffer.concat([
    Buffer.alloc(16),
    text(IFLA_IFNAME, link.name),
    u32(IFLA_LINK, link.parent),
    ...(link.mac === undefined ? [] : [attribute(IFLA_ADDRESS, hardwareAddress(link.mac))]),
    ...(link.mtu === undefined ? [] : [u32(IFLA_MTU, link.mtu)]),
    ...(link.namespace === undefined ? [] : [u32(IFLA_NET_NS_FD, link.namespace)]),
    nest(IFLA_LINKINFO, text(IFLA_INFO_KIND, link.kind.type), nest(IFLA_INFO_DATA, ...kindData(link.kind))),
  ]),
})
