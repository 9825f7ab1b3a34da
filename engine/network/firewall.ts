/**
 * The engine's one table of nf_tables, as messages. Pure: from the networks and published ports to requests.
 *
 * Nobody else's rules are touched. A forward chain of someone else that drops by policy (another container engine, ufw)
 * still drops after this table has accepted: nf_tables asks every chain of a hook, and a drop is final.
 */

import { addressBytes, type IpVersion, parseAddress, type Subnet } from '../base/address.ts'
import type { NetlinkRequest } from '../kernel/netlink.ts'
import {
  addChain,
  addElements,
  addInterfaceJumps,
  addInterfaceVerdicts,
  addMap,
  addMembers,
  addPlainChain,
  addRule,
  addSet,
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
  interfaceName,
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
  verdictBy,
} from '../kernel/nftables-expressions.ts'
import type { GatewayMode } from './network-options.ts'

export type FirewallNetwork = {
  bridge: string
  subnets: readonly Subnet[]
  internal: boolean
  masquerade: boolean
  icc: boolean
  modes: Record<IpVersion, GatewayMode>
}

export type PublishedPort = {
  protocol: 'tcp' | 'udp'
  /** 0.0.0.0 and :: mean every address of this machine. */
  hostAddress: string
  hostPort: number
  address: string
  port: number
  /** Nothing is translated: the container's own port is opened to whoever has a route to it. */
  routed?: boolean
}

const protocolNumbers = { tcp: 6, udp: 17 } as const
const addressFields = { ip: 'ipv4_addr', ip6: 'ipv6_addr' } as const satisfies Record<NetworkProtocol, Field>
const families: readonly NetworkProtocol[] = ['ip', 'ip6']
const anyAddress = (protocol: NetworkProtocol): string => `published_${protocol}`
const oneAddress = (protocol: NetworkProtocol): string => `published_${protocol}_at`
const openPorts = (protocol: NetworkProtocol): string => `open_${protocol}`
const bridgeSet = 'bridges'
const closedSet = 'internal_bridges'
const apartSet = 'bridges_without_icc'
const intoMap = 'into'

const port = (number: number): Buffer => Buffer.of(number >> 8, number & 0xff)

/** The map a port belongs into, and its element; undefined when the kernel cannot lead it there: IPv6 to IPv4. */
export function portElement(published: PublishedPort): { map: string; element: MapElement } | undefined {
  const host = parseAddress(published.hostAddress)!
  const target = parseAddress(published.address)
  if (target === undefined || host.version !== target.version) return undefined
  const protocol = host.version === 4 ? 'ip' : 'ip6'
  const service = [Buffer.of(protocolNumbers[published.protocol]), port(published.port)]
  if (published.routed === true) {
    const key = concatenation(addressBytes(target), ...service)
    return { map: openPorts(protocol), element: { key, data: Buffer.alloc(0) } }
  }
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

/**
 * Containers that are not to reach each other ask for published ports at the port's own socket: where bridged packets go
 * through the IP rules (br_netfilter), a rewritten one would be bridged at once, between ports that are kept apart.
 */
const apartRule = (): Expression[] => [meta('iifname', register(0)), lookup(apartSet, register(0)), verdict('accept')]

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

/** Accepted when it is a port that the network opens to whoever has a route. */
function openRules(protocol: NetworkProtocol): Expression[][] {
  const { destination, length } = addressOffsets[protocol]
  const at = length / 4
  const icmp = protocol === 'ip' ? 1 : 58
  return [
    [
      ...protocolIs(protocol),
      payload('network', destination, length, register(0)),
      meta('l4proto', register(at)),
      payload('transport', 2, 2, register(at + 1)),
      lookup(openPorts(protocol), register(0)),
      verdict('accept'),
    ],
    [
      ...protocolIs(protocol),
      meta('l4proto', register(0)),
      compare(register(0), 'is', Buffer.of(icmp)),
      verdict('accept'),
    ],
  ]
}

/** What may enter a network, in a chain of its own: asked for packets that leave by its bridge. */
function intoRules({ bridge, internal, icc, modes }: FirewallNetwork): Expression[][] {
  const from = interfaceIs('iifname', 'is', bridge)
  const translated = trackingHas('status', trackingBits.destinationChanged)
  // From inside: seen here only when bridged packets are sent through the IP hooks (br_netfilter), or a container asks
  // for a neighbour's published port.
  const inside = icc ? [[...from, verdict('accept')]] : [[...from, ...translated, verdict('accept')]]
  if (internal) return [...inside, [verdict('drop')]]
  return [
    ...inside,
    [...trackingHas('state', trackingBits.established | trackingBits.related), verdict('accept')],
    [...translated, verdict('accept')],
    ...families.flatMap((protocol) => {
      const mode = modes[protocol === 'ip' ? 4 : 6]
      if (mode === 'nat-unprotected') return [[...protocolIs(protocol), verdict('accept')]]
      return mode === 'routed' ? openRules(protocol) : []
    }),
    // Whatever else comes from outside or from another network: containers are not routable.
    [verdict('drop')],
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
    const translates = network.modes[version] === 'nat' || network.modes[version] === 'nat-unprotected'
    if (network.masquerade && !network.internal && translates)
      rules.push([...own, ...interfaceIs('oifname', 'is not', network.bridge), masquerade()])
    // A container that asks for a port published by its own network: the answer must come back through here.
    rules.push([...own, ...into, ...trackingHas('status', trackingBits.destinationChanged), masquerade()])
  }
  return rules
}

/**
 * route_localnet lets the machine reach 127.0.0.1 ports in the networks; nobody in them may reach the machine's. Every packet
 * is asked: its destination first, which is quicker to see than where it came in.
 */
const guardRule = (): Expression[] => [
  ...protocolIs('ip'),
  ...addressIn('ip', 'destination', loopback, 8),
  meta('iifname', register(0)),
  lookup(bridgeSet, register(0)),
  verdict('drop'),
]

/**
 * Where it was this engine that switched forwarding on, the machine does not become a router for that: between two
 * interfaces of hardware, connections pass only as far as they belong to what is let through above. What virtual
 * interfaces (bridges of others, tunnels, virtual machines) forward is their owners' matter.
 */
const routerRules = (): Expression[][] => [
  [meta('iifkind', register(0)), verdict('accept')],
  [meta('oifkind', register(0)), verdict('accept')],
  [...trackingHas('state', trackingBits.established | trackingBits.related), verdict('accept')],
  [verdict('drop')],
]

const forwardRules = (guarded: boolean): Expression[][] => [
  [meta('oifname', register(0)), verdictBy(intoMap, register(0))],
  [meta('iifname', register(0)), lookup(closedSet, register(0)), verdict('drop')],
  ...(guarded ? routerRules() : []),
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
  [...groupElements(ports)].flatMap(([map, elements]) =>
    map.startsWith('open_')
      ? addMembers(
          table,
          map,
          elements.map(({ key }) => key),
        )
      : addElements(table, map, elements),
  )

/** The sets and maps; each gets a number that is unique in the transaction. */
function containers(table: string): NetlinkRequest[] {
  const service: Field[] = ['inet_proto', 'inet_service']
  const makers: ((id: number) => NetlinkRequest)[] = [
    (id) => addSet({ table, name: bridgeSet, key: ['ifname'] }, id),
    (id) => addSet({ table, name: closedSet, key: ['ifname'] }, id),
    (id) => addSet({ table, name: apartSet, key: ['ifname'] }, id),
    (id) => addInterfaceVerdicts(table, intoMap, id),
    ...families.flatMap((protocol) => {
      const address = addressFields[protocol]
      const data: Field[] = [address, 'inet_service']
      return [
        (id: number) => addMap({ table, name: anyAddress(protocol), key: service, data }, id),
        (id: number) => addMap({ table, name: oneAddress(protocol), key: [address, ...service], data }, id),
        (id: number) => addSet({ table, name: openPorts(protocol), key: [address, ...service] }, id),
      ]
    }),
  ]
  return makers.map((make, index) => make(index + 1))
}

const chains = (table: string): NetlinkRequest[] => [
  addChain({ table, name: 'guard', type: 'filter', hook: 'prerouting', priority: -300 }),
  addChain({ table, name: 'publish', type: 'nat', hook: 'prerouting', priority: -100 }),
  addChain({ table, name: 'publish_local', type: 'nat', hook: 'output', priority: -100 }),
  addChain({ table, name: 'forward', type: 'filter', hook: 'forward', priority: 0 }),
  addChain({ table, name: 'source', type: 'nat', hook: 'postrouting', priority: 100 }),
]

export type FirewallState = {
  networks: readonly FirewallNetwork[]
  ports: readonly PublishedPort[]
  /** It was this engine that switched forwarding on; see `routerRules`. */
  guardsRouting: boolean
}

const intoChain = (bridge: string): string => `into-${bridge}`

/**
 * The whole table in place of whatever it held before; connections that stand go on. For `transaction`. What is asked of
 * every packet is a look into sets and maps, however many networks and ports there are.
 */
export function tableRequests(table: string, { networks, ports, guardsRouting }: FirewallState): NetlinkRequest[] {
  const rules = (chain: string, list: Expression[][]): NetlinkRequest[] =>
    list.map((expressions) => addRule(table, chain, expressions))
  const publish = families.flatMap(publishRules)
  const names = (list: readonly FirewallNetwork[]): Buffer[] => list.map(({ bridge }) => interfaceName(bridge))
  return [
    addTable(table),
    deleteTable(table),
    addTable(table),
    ...containers(table),
    ...chains(table),
    ...networks.flatMap((network) => [
      addPlainChain(table, intoChain(network.bridge)),
      ...rules(intoChain(network.bridge), intoRules(network)),
    ]),
    ...addMembers(table, bridgeSet, names(networks)),
    ...addMembers(table, closedSet, names(networks.filter(({ internal }) => internal))),
    ...addMembers(table, apartSet, names(networks.filter(({ icc }) => !icc))),
    ...addInterfaceJumps(
      table,
      intoMap,
      networks.map(({ bridge }) => ({ interface: bridge, chain: intoChain(bridge) })),
    ),
    ...rules('guard', [guardRule()]),
    ...rules('publish', [apartRule(), ...publish]),
    ...rules('publish_local', publish),
    ...rules('forward', forwardRules(guardsRouting)),
    ...rules('source', networks.flatMap(sourceRules)),
    ...portRequests(table, ports),
  ]
}
