/** A container's end of its networks: interfaces, addresses and routes inside its namespace, in the kernel. */
import { writeFileSync } from 'node:fs'
import { addressBytes, type IpAddress } from '../base/address.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { inNetworkNamespace } from '../kernel/namespaces.ffi.ts'
import { NetlinkSocket } from '../kernel/netlink-socket.ffi.ts'
import {
  addAddress,
  addDeviceRoute,
  deleteLink,
  linkIn,
  queryLink,
  replaceRoute,
  setLinkUp,
} from '../kernel/route-messages.ts'

export type InterfaceAddress = IpAddress & { prefixLength: number }

export type Interior = {
  netnsPath: string
  interfaceName: string
  /** '' leaves it to the kernel. */
  mac: string
  addresses: readonly InterfaceAddress[]
  /** Of the default routes that lead through here from now on. */
  gateways: readonly IpAddress[]
  /** IP versions whose default route is the interface itself: nobody stands on the other side. */
  throughDevice?: readonly (4 | 6)[]
  /** Below /proc/sys/net. */
  settings?: readonly { path: string; value: string }[]
}

/** A setting below /proc/sys/net of the network namespace that the caller is in. */
export const setting = (path: string, value: string): void => {
  try {
    writeFileSync(`/proc/sys/net/${path}`, value)
  } catch (error) {
    // A kernel without IPv6 has no such file; a container that runs the engine may find it read-only and set already.
    if (!isErrno(error, 'ENOENT', 'EROFS')) throw error
  }
}

export const withRoute = <T>(work: (socket: NetlinkSocket) => T): T => {
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  return work(socket)
}

export const indexOf = (socket: NetlinkSocket, name: string): number | undefined => {
  try {
    return linkIn(socket.ask(queryLink(name))[0]!).index
  } catch (error) {
    if (isErrno(error, 'ENODEV')) return undefined
    throw error
  }
}

export function ignoring(errno: string, work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!isErrno(error, errno)) throw error
  }
}

/** Precondition: the interface is in the namespace, and down. */
export const setUpInside = (interior: Interior): void =>
  inNetworkNamespace(interior.netnsPath, () => withRoute((socket) => setUp(socket, interior)))

function setUp(socket: NetlinkSocket, { interfaceName, addresses, gateways, ...more }: Interior): void {
  const index = indexOf(socket, interfaceName)!
  const hasIpv6 = addresses.some(({ version }) => version === 6)
  setting(`ipv6/conf/${interfaceName}/disable_ipv6`, hasIpv6 ? '0' : '1')
  // Neighbours that knew the address's last holder learn the new one when the link comes up.
  setting(`ipv4/conf/${interfaceName}/arp_notify`, '1')
  for (const { path, value } of more.settings ?? []) writeFileSync(`/proc/sys/net/${path}`, value)
  for (const address of addresses) socket.change(addAddress(index, addressBytes(address), address.prefixLength))
  socket.change(setLinkUp(index, true))
  for (const gateway of gateways) socket.change(replaceRoute({ gateway: addressBytes(gateway), link: index }))
  for (const version of more.throughDevice ?? []) socket.change(addDeviceRoute(version, index))
}

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

/**
 * Deletes a link without holding up the event loop (some 20 ms of the kernel's time); missing is fine.
 *
 * @param netnsPath where it is, if not here; gone is fine
 */
export async function removeLink(name: string, netnsPath?: string): Promise<void> {
  try {
    const open = (): NetlinkSocket => new NetlinkSocket('NETLINK_ROUTE')
    using socket = netnsPath === undefined ? open() : inNetworkNamespace(netnsPath, open)
    await socket.changeElsewhere(deleteLink(name))
  } catch (error) {
    if (!isErrno(error, 'ENODEV', ...(netnsPath === undefined ? [] : ['ENOENT', 'EINVAL']))) throw error
  }
}
