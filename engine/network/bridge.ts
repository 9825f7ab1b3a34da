/** Bridges and the pairs of links between a bridge and a container, in the kernel. All synchronous; names are the identity. */
import { closeSync, openSync } from 'node:fs'
import { addressBytes, addressFromBytes, type Subnet, subnetOf } from '../base/address.ts'
import { NetlinkSocket } from '../kernel/netlink-socket.ffi.ts'
import {
  addAddress,
  addBridge,
  addVeth,
  deleteLink,
  type Link,
  linkIn,
  listLinks,
  listRoutes,
  queryLink,
  routeIn,
  setLinkHairpin,
  setLinkIsolated,
  setLinkUp,
} from '../kernel/route-messages.ts'
import { randomMac } from './instance-names.ts'
import { type InterfaceAddress, type Interior, ignoring, indexOf, setting, setUpInside, withRoute } from './interior.ts'

export const links = (): Link[] => withRoute((socket) => socket.dump(listLinks()).map(linkIn))

/** The subnets this machine has routes to, by links other than `except`; the default route is none of them. */
export function routedSubnets(except: string): Subnet[] {
  return withRoute((socket) => {
    const own = except === '' ? undefined : indexOf(socket, except)
    return ([4, 6] as const)
      .flatMap((version) => socket.dump(listRoutes(version)).map(routeIn))
      .filter(({ main, prefixLength, link }) => main && prefixLength > 0 && link !== own)
      .map(({ destination, prefixLength }) => subnetOf(addressFromBytes(destination), prefixLength))
  })
}

export type BridgeOptions = { name: string; addresses: readonly InterfaceAddress[]; mtu?: number; ipv6: boolean }

/** Makes the bridge with its addresses, up; what is there already stays. */
export function ensureBridge(bridge: BridgeOptions): void {
  withRoute((socket) => {
    const mtu = bridge.mtu === undefined ? {} : { mtu: bridge.mtu }
    // An address of its own, or the bridge would take the lowest of its ports and change it as they come and go.
    if (indexOf(socket, bridge.name) === undefined) socket.change(addBridge(bridge.name, { mac: randomMac(), ...mtu }))
    const index = indexOf(socket, bridge.name)!
    if (!bridge.ipv6) setting(`ipv6/conf/${bridge.name}/disable_ipv6`, '1')
    for (const address of bridge.addresses)
      ignoring('EEXIST', () => socket.change(addAddress(index, addressBytes(address), address.prefixLength)))
    // Published ports on 127.0.0.1: firewall.ts has the rule that keeps this one-way.
    setting(`ipv4/conf/${bridge.name}/route_localnet`, '1')
    socket.change(setLinkUp(index, true))
  })
}

export type Attachment = Interior & {
  bridge: string
  link: string
  mtu?: number
  /** The bridge leads nothing between this container and others. */
  isolated: boolean
}

/** Puts a pair between bridge and namespace, and sets up the container's end. On failure nothing is left. */
export function connectNamespace(attachment: Attachment): void {
  using cleanup = new DisposableStack()
  const namespace = cleanup.adopt(openSync(attachment.netnsPath, 'r'), closeSync)
  const socket = cleanup.use(new NetlinkSocket('NETLINK_ROUTE'))
  const master = indexOf(socket, attachment.bridge)
  if (master === undefined) throw new Error(`bridge ${attachment.bridge} is missing`)
  const mtu = attachment.mtu === undefined ? {} : { mtu: attachment.mtu }
  const mac = attachment.mac === '' ? {} : { mac: attachment.mac }
  const peer = { name: attachment.interfaceName, namespace, ...mac, ...mtu }
  socket.change(addVeth({ name: attachment.link, master, peer, ...mtu }))
  using unfinished = new DisposableStack()
  unfinished.defer(() => socket.change(deleteLink(attachment.link)))
  if (attachment.isolated) socket.change(setLinkIsolated(attachment.link))
  setting(`ipv6/conf/${attachment.link}/disable_ipv6`, '1')
  setUpInside(attachment)
  // The link's carrier, then the bridge's: a packet sent before the kernel has noticed them is lost, and the next
  // attempt at the neighbour's address comes a second later.
  for (const name of [attachment.link, attachment.bridge]) socket.ask(queryLink(name))
  unfinished.move()
}

/** The bridge may send out of this port what came in by it; missing is fine. */
export const setHairpin = (link: string): void =>
  withRoute((socket) => ignoring('ENODEV', () => socket.change(setLinkHairpin(link, true))))
