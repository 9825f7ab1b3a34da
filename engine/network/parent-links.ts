/** Interfaces of containers that stand on a link of the machine: macvlan and ipvlan, in the kernel. */
import { closeSync, openSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { inNetworkNamespace } from '../kernel/namespaces.ffi.ts'
import type { NetlinkSocket } from '../kernel/netlink-socket.ffi.ts'
import { deleteLink, setLinkUp } from '../kernel/route-messages.ts'
import { addStackedLink, type StackedKind, type StackedLink } from '../kernel/stacked-links.ts'
import { type Interior, indexOf, setUpInside, withRoute } from './interior.ts'
import { type ParentSettings, vlanOf } from './parent-settings.ts'

function add(socket: NetlinkSocket, link: StackedLink): void {
  try {
    socket.change(addStackedLink(link))
  } catch (error) {
    if (!isErrno(error, 'ENOTSUP')) throw error
    throw new EngineError('invalid', `the kernel of this machine has no ${link.kind.type} links`, { cause: error })
  }
}

/** Whether the link is there; one of a VLAN is made where only the link below it is. */
export function ensureParent(parent: string): 'there' | 'made' {
  return withRoute((socket) => {
    if (indexOf(socket, parent) !== undefined) return 'there'
    const vlan = vlanOf(parent)
    const below = vlan === undefined ? undefined : indexOf(socket, vlan.link)
    if (vlan === undefined || below === undefined)
      throw new EngineError('invalid', `the parent interface ${parent} was not found on this machine`)
    const kind: StackedKind = { type: 'vlan', number: vlan.number }
    add(socket, { name: parent, parent: below, kind })
    socket.change(setLinkUp(parent, true))
    return 'made'
  })
}

export type StackedAttachment = Interior & ParentSettings & { mtu?: number }

/** Makes the interface right inside the namespace. On failure nothing is left. */
export function connectStacked(attachment: StackedAttachment): void {
  using cleanup = new DisposableStack()
  const namespace = cleanup.adopt(openSync(attachment.netnsPath, 'r'), closeSync)
  const { parent, kind, interfaceName: name, mac, mtu } = attachment
  withRoute((socket) => {
    const below = indexOf(socket, parent)
    if (below === undefined) throw new Error(`the parent interface ${parent} is missing`)
    const options = { ...(mac === '' ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) }
    add(socket, { name, parent: below, kind, namespace, ...options })
  })
  using unfinished = new DisposableStack()
  unfinished.defer(() =>
    inNetworkNamespace(attachment.netnsPath, () => withRoute((socket) => socket.change(deleteLink(name)))),
  )
  setUpInside(attachment)
  unfinished.move()
}
