/**
 * The engine's table of nf_tables in the kernel: small changes where they will do, all of it anew where not, and put back
 * when somebody else has taken it away (`nft flush ruleset`, a firewall that starts).
 */
import { addressBytes, parseAddress } from '../base/address.ts'
import { forgetAnsweredBy, forgetToPort } from '../kernel/conntrack.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import type { NetlinkRequest } from '../kernel/netlink.ts'
import { NetlinkSocket } from '../kernel/netlink-socket.ffi.ts'
import {
  deletedFrom,
  deleteElements,
  deleteTable,
  dropsByPolicy,
  probeTable,
  queryIptablesChain,
  transaction,
} from '../kernel/nftables.ts'
import { type FirewallState, groupElements, type PublishedPort, portRequests, tableRequests } from './firewall.ts'

/** IP versions for which somebody's iptables drop what is forwarded and not accepted there: a drop that no rule of ours undoes. */
export function foreignForwardDrops(): ('IPv4' | 'IPv6')[] {
  const drops = (family: 'ip' | 'ip6'): boolean => {
    try {
      using socket = new NetlinkSocket('NETLINK_NETFILTER')
      return socket.ask(queryIptablesChain(family, 'FORWARD')).some(dropsByPolicy)
    } catch (error) {
      // No such chain, or a kernel without nf_tables: then nobody drops by it.
      if (isErrno(error, 'ENOENT', 'EINVAL', 'ENOTSUP', 'EPROTONOSUPPORT')) return false
      throw error
    }
  }
  return [...(drops('ip') ? ['IPv4' as const] : []), ...(drops('ip6') ? ['IPv6' as const] : [])]
}

/** Milliseconds between two looks at what others did to the table. A look costs some microseconds. */
const watchInterval = 1000

export class PacketFilter implements Disposable {
  readonly #table: string
  readonly #state: () => FirewallState
  /** Stays open: closing one waits for the kernel to have freed all that was deleted through it, some 10 ms. */
  #socket: NetlinkSocket | undefined
  #events: NetlinkSocket | undefined
  #timer: NodeJS.Timeout | undefined
  #missing = false

  /** @param state what the table is to hold: no networks, no table */
  constructor(table: string, state: () => FirewallState) {
    this.#table = table
    this.#state = state
  }

  /** The rules and everything published, anew. */
  rebuild(): void {
    const state = this.#state()
    if (state.networks.length === 0) {
      this.#stopWatching()
      this.#send([deleteTable(this.#table)], 'ENOENT')
      return
    }
    this.#send(tableRequests(this.#table, state))
    this.#watch()
  }

  publish(ports: readonly PublishedPort[]): void {
    this.#apply(portRequests(this.#table, ports))
  }

  withdraw(ports: readonly PublishedPort[]): void {
    this.#apply(
      [...groupElements(ports)].flatMap(([map, elements]) =>
        deleteElements(
          this.#table,
          map,
          elements.map(({ key }) => key),
        ),
      ),
    )
  }

  /**
   * What the kernel tracks goes by the rules of its first packet for as long as it lives, and a client that sends datagrams
   * without a pause makes it live for ever: it is forgotten where a port gets its first rule, or loses its last.
   */
  forgetConnections(ports: readonly PublishedPort[]): void {
    const requests = ports.flatMap(({ protocol, hostAddress, hostPort, address, routed }) => {
      const target = parseAddress(address)
      if (routed === true || target === undefined) return []
      const version = hostAddress.includes(':') ? 6 : 4
      const waiting = protocol === 'udp' ? [forgetToPort(version, protocol, hostPort)] : []
      return [...waiting, forgetAnsweredBy(addressBytes(target))]
    })
    this.#socket ??= new NetlinkSocket('NETLINK_NETFILTER')
    for (const request of requests) this.#forget(this.#socket, request)
  }

  #forget(socket: NetlinkSocket, request: NetlinkRequest): void {
    try {
      socket.change(request)
    } catch (error) {
      // A kernel whose tracking cannot be spoken to: then nothing is worse than it was without this.
      if (!isErrno(error, 'EINVAL', 'ENOTSUP', 'ENOENT')) throw error
    }
  }

  #send(requests: readonly NetlinkRequest[], ignored?: string): void {
    this.#socket ??= new NetlinkSocket('NETLINK_NETFILTER')
    try {
      this.#socket.batch(transaction(requests))
    } catch (error) {
      if (ignored === undefined || !isErrno(error, ignored)) throw error
    }
  }

  /** Where the kernel's table is not what we think it is, all of it is written again. */
  #apply(requests: readonly NetlinkRequest[]): void {
    if (requests.length === 0) return
    try {
      this.#send(requests)
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'EEXIST', 'EBUSY')) throw error
      this.rebuild()
    }
  }

  #watch(): void {
    if (this.#events !== undefined) return
    this.#events = new NetlinkSocket('NETLINK_NETFILTER')
    this.#events.subscribe('NFNLGRP_NFTABLES')
    this.#timer = setInterval(() => this.#look(), watchInterval).unref()
  }

  #look(): void {
    const { replies, lost } = this.#events?.pending() ?? { replies: [], lost: false }
    const own = this.#socket?.portId
    const taken = replies.some((reply) => reply.port !== own && deletedFrom(reply) === this.#table)
    try {
      this.#missing ||= taken || (lost && !this.#stands())
      if (!this.#missing) return
      this.rebuild()
      this.#missing = false
    } catch {
      // Somebody else is changing the rules at this moment: the next look tries again.
    }
  }

  #stands(): boolean {
    try {
      this.#socket?.change(probeTable(this.#table))
      return true
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false
      throw error
    }
  }

  #stopWatching(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#events?.[Symbol.dispose]()
    this.#events = undefined
  }

  /** Lets go of sockets; the table stays. */
  [Symbol.dispose](): void {
    this.#stopWatching()
    this.#socket?.[Symbol.dispose]()
    this.#socket = undefined
  }
}
