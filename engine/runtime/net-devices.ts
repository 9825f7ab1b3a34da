/** linux.netDevices: devices of the runtime's network namespace that become the container's; runtime-spec 1.3. */
import { EngineError, messageOf } from '../base/errors.ts'
import { inNetworkNamespace } from '../kernel/namespaces.ffi.ts'
import { NetlinkSocket } from '../kernel/netlink-socket.ffi.ts'
import {
  addAddress,
  addressIn,
  type LinkAddress,
  linkIn,
  listAddresses,
  moveLink,
  queryLink,
  setLinkUp,
} from '../kernel/route-messages.ts'
import type { OciLinux } from '../spec/oci.ts'

type Devices = NonNullable<OciLinux['netDevices']>

/** Throws invalid, naming the device. `namespace` is an open descriptor of the container's, `path` leads to the same. */
export function moveNetDevices(devices: Devices, namespace: number, path: string): void {
  for (const [name, { name: wanted = '' }] of Object.entries(devices)) {
    try {
      moveOne(name, wanted === '' ? name : wanted, namespace, path)
    } catch (error) {
      throw new EngineError('invalid', `linux.netDevices.${name}: ${messageOf(error)}`, { cause: error })
    }
  }
}

/** It arrives shut and without addresses: those that were there to stay come along. */
function moveOne(name: string, wanted: string, namespace: number, path: string): void {
  const kept = moveAway(name, wanted, namespace)
  inNetworkNamespace(path, () => {
    using netlink = new NetlinkSocket('NETLINK_ROUTE')
    const { index } = linkIn(netlink.ask(queryLink(wanted))[0]!)
    for (const { address, prefixLength } of kept) netlink.change(addAddress(index, address, prefixLength))
    netlink.change(setLinkUp(index, true))
  })
}

function moveAway(name: string, wanted: string, namespace: number): LinkAddress[] {
  using netlink = new NetlinkSocket('NETLINK_ROUTE')
  const { index } = linkIn(netlink.ask(queryLink(name))[0]!)
  const kept = netlink
    .dump(listAddresses())
    .map(addressIn)
    .filter((address) => address.index === index && address.permanent && address.everywhere)
  netlink.change(moveLink(index, namespace, wanted))
  return kept
}
