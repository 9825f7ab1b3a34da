/**
 * The engine's one table of nf_tables, as messages. Pure: from the networks and published ports to requests.
 *
 * Nobody else's rules are touched. A forward chain of someone else that drops by policy (another container engine, ufw)
 * still drops after this table has accepted: nf_tables asks every chain of a hook, and a drop is final.
 */

import { addressBytes, parseAddress, type Subnet } from '../base/address.ts'
import type { NetlinkRequest } from '../kernel/netlink.ts'
import {
  addChain,
  addElements,
  addMap,
  addRule,
  addTable,
  concatenation,
  deleteTable,
  type Field,
  type MapElement,
} from '../kernel/nftables.ts'
import {
  addressIn,
  addressOffsets,
  compare,
  destinationIsLocal,
  destinationNat,
  type Expression,
  interfaceIs,
  lookup,
  masquerade,
  meta,
  type NetworkProtocol,
  payload,
  protocolIs,
  register,
  trackingBits,
  trackingHas,
  verdict,
} from '../kernel/nftables-expressions.ts'

export type FirewallNetwork = { bridge: string; subnets: readonly Subnet[]; internal: boolean; masquerade: boolean }

export type PublishedPort = {
  protocol: 'tcp' | 'udp'
  /** 0.0.0.0 and :: mean every address of this machine. */
  hostAddress: string
  hostPort: number
  address: string
  port: number
}

const protocolNumbers = { tcp: 6, udp: 17 } as const
const addressFields = { ip: 'ipv4_addr', ip6: 'ipv6_addr' } as const satisfies Record<NetworkProtocol, Field>
const families: readonly NetworkProtocol[] = ['ip', 'ip6']
const anyAddress = (protocol: NetworkProtocol): string => `published_${protocol}`
const oneAddress = (protocol: NetworkProtocol): string => `published_${protocol}_at`

const port = (number: number): Buffer => Buffer.of(number >> 8, number & 0xff)

/** The map a port belongs into, and its element; undefined when the kernel cannot lead it there: IPv6 to IPv4. */
export function portElement(published: PublishedPort): { map: string; element: MapElement } | undefined {
  const host = parseAddress(published.hostAddress)!
  const target = parseAddress(published.address)
  if (target === undefined || host.version !== target.version) return undefined
  const protocol = host.version === 4 ? 'ip' : 'ip6'
  const key = [Buffer.of(protocolNumbers[published.protocol]), port(published.hostPort)]
  const data = concatenation(addressBytes(target), port(published.port))
  return host.value === 0n
    ? { map: anyAddress(protocol), element: { key: concatenation(...key), data } }
    : { map: oneAddress(protocol), element: { key: concatenation(addressBytes(host), ...key), data } }
}

const loopback6 = Buffer.alloc(16)
loopback6[15] = 1

/** The kernel lets no packet from ::1 leave the machine, whatever its destination becomes: that is the proxy's part. */
const notLoopback6: Expression[] = [
  payload('network', addressOffsets.ip6.destination, 16, register(0)),
  compare(register(0), 'is not', loopback6),
]

/** To an address of this machine and a published port: on to the container. One rule per kind of map. */
function publishRules(protocol: NetworkProtocol): Expression[][] {
  const { destination, length } = addressOffsets[protocol]
  const address = length / 4
  const match = [...protocolIs(protocol), ...destinationIsLocal(), ...(protocol === 'ip6' ? notLoopback6 : [])]
  const key = (at: number): Expression[] => [
    meta('l4proto', register(at)),
    payload('transport', 2, 2, register(at + 1)),
  ]
  const rewrite = destinationNat(protocol, register(0), register(address))
  return [
    [
      ...match,
      payload('network', destination, length, register(0)),
      ...key(address),
      lookup(oneAddress(protocol), register(0), register(0)),
      rewrite,
    ],
    [...match, ...key(0), lookup(anyAddress(protocol), register(0), register(0)), rewrite],
  ]
}

function forwardRules({ bridge, internal }: FirewallNetwork): Expression[][] {
  const into = interfaceIs('oifname', 'is', bridge)
  const from = interfaceIs('iifname', 'is', bridge)
  // Inside one network: seen here only when bridged packets are sent through the IP hooks (br_netfilter), or a
  // container asks for a neighbour's published port.
  const inside = [...from, ...into, verdict('accept')]
  if (internal) return [inside, [...from, verdict('drop')], [...into, verdict('drop')]]
  return [
    inside,
    [...into, ...trackingHas('state', trackingBits.established | trackingBits.related), verdict('accept')],
    [...into, ...trackingHas('status', trackingBits.destinationChanged), verdict('accept')],
    // Whatever else comes from outside or from another network: containers are not routable.
    [...into, verdict('drop')],
  ]
}

const loopback = Buffer.of(127, 0, 0, 0)

function sourceRules(network: FirewallNetwork): Expression[][] {
  const into = interfaceIs('oifname', 'is', network.bridge)
  // The machine's own connections to 127.0.0.1 arrive at the container with an address it can answer.
  const rules = [[...protocolIs('ip'), ...into, ...addressIn('ip', 'source', loopback, 8), masquerade()]]
  for (const { version, network: address, prefixLength } of network.subnets) {
    const protocol = version === 4 ? 'ip' : 'ip6'
    const own = [
      ...protocolIs(protocol),
      ...addressIn(protocol, 'source', addressBytes({ version, value: address }), prefixLength),
    ]
    if (network.masquerade && !network.internal)
      rules.push([...own, ...interfaceIs('oifname', 'is not', network.bridge), masquerade()])
    // A container that asks for a port published by its own network: the answer must come back through here.
    rules.push([...own, ...into, ...trackingHas('status', trackingBits.destinationChanged), masquerade()])
  }
  return rules
}

/** route_localnet lets the machine reach 127.0.0.1 ports in the network; nobody in it may reach the machine's. */
const guardRule = ({ bridge }: FirewallNetwork): Expression[] => [
  ...protocolIs('ip'),
  ...interfaceIs('iifname', 'is', bridge),
  ...addressIn('ip', 'destination', loopback, 8),
  verdict('drop'),
]

export const groupElements = (ports: readonly PublishedPort[]): Map<string, MapElement[]> => {
  const groups = new Map<string, MapElement[]>()
  for (const published of ports) {
    const found = portElement(published)
    if (found !== undefined) groups.set(found.map, [...(groups.get(found.map) ?? []), found.element])
  }
  return groups
}

export const portRequests = (table: string, ports: readonly PublishedPort[]): NetlinkRequest[] =>
  [...groupElements(ports)].flatMap(([map, elements]) => addElements(table, map, elements))

/** The whole table in place of whatever it held before; connections that stand go on. For `transaction`. */
export function tableRequests(
  table: string,
  networks: readonly FirewallNetwork[],
  ports: readonly PublishedPort[],
): NetlinkRequest[] {
  const rules = (chain: string, list: Expression[][]): NetlinkRequest[] =>
    list.map((expressions) => addRule(table, chain, expressions))
  const service: Field[] = ['inet_proto', 'inet_service']
  const publish = families.flatMap(publishRules)
  return [
    addTable(table),
    deleteTable(table),
    addTable(table),
    ...families.flatMap((protocol, index) => {
      const address = addressFields[protocol]
      const data: Field[] = [address, 'inet_service']
      return [
        addMap({ table, name: anyAddress(protocol), key: service, data }, index * 2 + 1),
        addMap({ table, name: oneAddress(protocol), key: [address, ...service], data }, index * 2 + 2),
      ]
    }),
    addChain({ table, name: 'guard', type: 'filter', hook: 'prerouting', priority: -300 }),
    addChain({ table, name: 'publish', type: 'nat', hook: 'prerouting', priority: -100 }),
    addChain({ table, name: 'publish_local', type: 'nat', hook: 'output', priority: -100 }),
    addChain({ table, name: 'forward', type: 'filter', hook: 'forward', priority: 0 }),
    addChain({ table, name: 'source', type: 'nat', hook: 'postrouting', priority: 100 }),
    ...rules('guard', networks.map(guardRule)),
    ...rules('publish', publish),
    ...rules('publish_local', publish),
    ...rules('forward', networks.flatMap(forwardRules)),
    ...rules('source', networks.flatMap(sourceRules)),
    ...portRequests(table, ports),
  ]
}
