/** Bridges and the pairs of links between a bridge and a container, in the kernel. All synchronous; names are the identity. */
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { addressBytes, addressFromBytes, type IpAddress, type Subnet, subnetOf } from '../base/address.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { inNetworkNamespace } from '../kernel/namespaces.ffi.ts'
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
  replaceRoute,
  routeIn,
  setLinkHairpin,
  setLinkIsolated,
  setLinkUp,
} from '../kernel/route-messages.ts'
import { randomMac } from './instance-names.ts'

export type InterfaceAddress = IpAddress & { prefixLength: number }

const setting = (path: string, value: string): void => {
  try {
    writeFileSync(`/proc/sys/net/${path}`, value)
  } catch (error) {
    // A kernel without IPv6 has no such file; a container that runs the engine may find it read-only and set already.
    if (!isErrno(error, 'ENOENT', 'EROFS')) throw error
  }
}

const withRoute = <T>(work: (socket: NetlinkSocket) => T): T => {
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  return work(socket)
}

const indexOf = (socket: NetlinkSocket, name: string): number | undefined => {
  try {
    return linkIn(socket.ask(queryLink(name))[0]!).index
  } catch (error) {
    if (isErrno(error, 'ENODEV')) return undefined
    throw error
  }
}

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

function ignoring(errno: string, work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!isErrno(error, errno)) throw error
  }
}

/** Deletes a link without holding up the event loop (some 20 ms of the kernel's time); missing is fine. */
export async function removeLink(name: string): Promise<void> {
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  try {
    await socket.changeElsewhere(deleteLink(name))
  } catch (error) {
    if (!isErrno(error, 'ENODEV')) throw error
  }
}

export type Attachment = {
  bridge: string
  link: string
  netnsPath: string
  interfaceName: string
  mac: string
  addresses: readonly InterfaceAddress[]
  /** Of the default routes that lead through here from now on. */
  gateways: readonly IpAddress[]
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
  const peer = { name: attachment.interfaceName, namespace, mac: attachment.mac, ...mtu }
  socket.change(addVeth({ name: attachment.link, master, peer, ...mtu }))
  using unfinished = new DisposableStack()
  unfinished.defer(() => socket.change(deleteLink(attachment.link)))
  if (attachment.isolated) socket.change(setLinkIsolated(attachment.link))
  setting(`ipv6/conf/${attachment.link}/disable_ipv6`, '1')
  inNetworkNamespace(attachment.netnsPath, () => setUpInside(attachment))
  // The link's carrier, then the bridge's: a packet sent before the kernel has noticed them is lost, and the next
  // attempt at the neighbour's address comes a second later.
  for (const name of [attachment.link, attachment.bridge]) socket.ask(queryLink(name))
  unfinished.move()
}

function setUpInside({ interfaceName, addresses, gateways }: Attachment): void {
  withRoute((socket) => {
    const index = indexOf(socket, interfaceName)!
    const hasIpv6 = addresses.some(({ version }) => version === 6)
    setting(`ipv6/conf/${interfaceName}/disable_ipv6`, hasIpv6 ? '0' : '1')
    // Neighbours that knew the address's last holder learn the new one when the link comes up.
    setting(`ipv4/conf/${interfaceName}/arp_notify`, '1')
    for (const address of addresses) socket.change(addAddress(index, addressBytes(address), address.prefixLength))
    socket.change(setLinkUp(index, true))
    for (const gateway of gateways) socket.change(replaceRoute({ gateway: addressBytes(gateway), link: index }))
  })
}

/** The bridge may send out of this port what came in by it; missing is fine. */
export const setHairpin = (link: string): void =>
  withRoute((socket) => ignoring('ENODEV', () => socket.change(setLinkHairpin(link, true))))

/** Makes the container's default routes lead through this interface; fine when its namespace is gone. */
export function setDefaultRoutes(netnsPath: string, interfaceName: string, gateways: readonly IpAddress[]): void {
  try {
    inNetworkNamespace(netnsPath, () =>
      withRoute((socket) => {
        const link = indexOf(socket, interfaceName)
        if (link === undefined) return
        for (const gateway of gateways) socket.change(replaceRoute({ gateway: addressBytes(gateway), link }))
      }),
    )
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'EINVAL')) throw error
  }
}
