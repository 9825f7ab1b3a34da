/** The resolver's sockets inside a container's network namespace. */
import { closeSync } from 'node:fs'
import { isErrno } from '../kernel/libc.ffi.ts'
import { inNetworkNamespace } from '../kernel/namespaces.ffi.ts'
import { NetlinkSocket } from '../kernel/netlink-socket.ffi.ts'
import { type BoundSocket, bindSocket } from '../kernel/network-socket.ffi.ts'
import { transaction } from '../kernel/nftables.ts'
import { redirectRequests, resolverAddress } from './redirect.ts'

export type ResolverSockets = { udp: number; tcp: number }

const address = Buffer.of(127, 0, 0, 11)
const namePort = 53

const bind = (protocol: 'udp' | 'tcp', port: number): BoundSocket =>
  bindSocket(protocol, address, port, `${resolverAddress}:${port} for the names of a container`)

/** Whether the kernel leads port 53 to these ports; false on one without nf_tables. */
function redirected(ports: { udp: number; tcp: number }): boolean {
  try {
    using rules = new NetlinkSocket('NETLINK_NETFILTER')
    rules.batch(transaction(redirectRequests(ports)))
    return true
  } catch (error) {
    if (isErrno(error, 'EPROTONOSUPPORT', 'ENOTSUP', 'EINVAL', 'ENOENT')) return false
    throw error
  }
}

/**
 * Both sockets, or none and an exception. Where the kernel cannot redirect, they are port 53 itself.
 *
 * Precondition: as for inNetworkNamespace.
 */
export function listenInNamespace(netnsPath: string): ResolverSockets {
  return inNetworkNamespace(netnsPath, () => {
    using cleanup = new DisposableStack()
    const take = (protocol: 'udp' | 'tcp', port: number): BoundSocket => {
      const bound = bind(protocol, port)
      cleanup.defer(() => closeSync(bound.fd))
      return bound
    }
    const [udp, tcp] = [take('udp', 0), take('tcp', 0)]
    if (redirected({ udp: udp.port, tcp: tcp.port })) {
      cleanup.move()
      return { udp: udp.fd, tcp: tcp.fd }
    }
    cleanup.dispose()
    using fixed = new DisposableStack()
    const direct = (protocol: 'udp' | 'tcp'): number => fixed.adopt(bind(protocol, namePort).fd, closeSync)
    const sockets = { udp: direct('udp'), tcp: direct('tcp') }
    fixed.move()
    return sockets
  })
}
