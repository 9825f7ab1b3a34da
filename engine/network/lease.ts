/** An endpoint's identity on its network: interface name, addresses, hardware address; rows of the store, not yet the kernel. */
import { contains, formatAddress, type IpVersion, parseAddress } from '../base/address.ts'
import { EngineError, isKind } from '../base/errors.ts'
import { newId } from '../base/identifier.ts'
import { chosenInterfaceName } from './endpoint-options.ts'
import { randomMac } from './instance-names.ts'
import type { Endpoint, EndpointRequest } from './network.ts'
import { bridgeSettings } from './network-options.ts'
import { type AddressSpace, type LeaseRequest, leaseAddress, spacesOf } from './network-plan.ts'
import type { NetworkStore, StoredNetwork } from './network-store.ts'
import { leadsByDevice } from './parent-settings.ts'

/** Without addresses and interface: what host and none have, too. */
export const plainEndpoint = (network: StoredNetwork, request: EndpointRequest): Endpoint => ({
  networkId: network.id,
  networkName: network.name,
  endpointId: newId(),
  interfaceName: '',
  macAddress: '',
  ipAddress: '',
  prefixLength: 0,
  gateway: '',
  ipv6Address: '',
  ipv6PrefixLength: 0,
  ipv6Gateway: '',
  aliases: request.aliases ?? [],
  dnsNames: request.dnsNames ?? [],
  links: request.links ?? {},
  gwPriority: request.gwPriority ?? 0,
  portRequest: {
    ports: request.ports ?? {},
    exposedPorts: request.exposedPorts ?? [],
    publishAllPorts: request.publishAllPorts ?? false,
  },
  ports: {},
})

/** Throws invalid or forbidden in Docker's words. Precondition: a transaction, which the caller ends with the row. */
export function leaseEndpoint(store: NetworkStore, network: StoredNetwork, request: EndpointRequest): Endpoint {
  const v4 = leaseFamily(store, network, { version: 4, wanted: request.ipv4Address })
  const v6 = leaseFamily(store, network, { version: 6, wanted: request.ipv6Address })
  const used = new Set<string>(
    store.endpoints({ container: request.containerId }).map(({ endpoint }) => endpoint.interfaceName),
  )
  let number = 0
  const { interfacePrefix } = bridgeSettings(network)
  while (used.has(`${interfacePrefix}${number}`)) number += 1
  return {
    ...plainEndpoint(network, request),
    interfaceName: chosenInterfaceName(request, used) ?? `${interfacePrefix}${number}`,
    // An ipvlan link has its parent's.
    macAddress: network.driver === 'ipvlan' ? '' : (checkedMac(request.macAddress) ?? randomMac()),
    ipAddress: v4?.address ?? '',
    prefixLength: v4?.prefixLength ?? 0,
    gateway: v4?.gateway ?? '',
    ipv6Address: v6?.address ?? '',
    ipv6PrefixLength: v6?.prefixLength ?? 0,
    ipv6Gateway: v6?.gateway ?? '',
  }
}

type Family = { version: IpVersion; wanted: string | undefined }

function leaseFamily(store: NetworkStore, network: StoredNetwork, family: Family) {
  const { version, wanted } = family
  const spaces = spacesOf(network).filter(({ subnet }) => subnet.version === version)
  if (spaces.length === 0) {
    if (!wanted) return undefined
    throw new EngineError('invalid', `network ${network.name} has no IPv${version} subnet for address ${wanted}`)
  }
  const taken = store
    .endpoints({ network: network.id })
    .map(({ endpoint }) => parseAddress(version === 4 ? endpoint.ipAddress : endpoint.ipv6Address)?.value)
  const lease = {
    wanted,
    taken: new Set(taken.filter((value) => value !== undefined)),
    last: store.lastAddresses(network.id)[version],
  }
  const { address, space } = leaseFrom(network, spaces, lease)
  const text = formatAddress(address)
  if (!wanted) store.noteLastAddress(network.id, version, text)
  return { address: text, prefixLength: space.subnet.prefixLength, gateway: gatewayOf(network, space) }
}

/** Of several subnets the one with the wanted address, else the first that has room. */
function leaseFrom(network: StoredNetwork, spaces: readonly AddressSpace[], lease: LeaseRequest) {
  const wanted = lease.wanted ? parseAddress(lease.wanted) : undefined
  const fitting = spaces.filter(({ subnet }) => wanted === undefined || contains(subnet, wanted))
  const candidates = fitting.length > 0 ? fitting : spaces
  for (const [index, space] of candidates.entries())
    try {
      return { space, address: leaseAddress(network, space, lease) }
    } catch (error) {
      if (index === candidates.length - 1 || !isKind(error, 'unavailable')) throw error
    }
  throw new Error('unreachable: the last candidate returns or throws')
}

/** Nobody, where nothing leads out. */
function gatewayOf(network: StoredNetwork, { subnet, gateway }: AddressSpace): string {
  if (network.internal || bridgeSettings(network).gatewayModes[subnet.version] === 'isolated') return ''
  return leadsByDevice(network) ? '' : formatAddress(gateway)
}

function checkedMac(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined
  const match = /^(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(text)
  // The lowest bit of the first byte marks a group of stations: no link may carry such an address.
  if (!match || (Number.parseInt(text.slice(0, 2), 16) & 1) === 1)
    throw new EngineError('invalid', `invalid MAC address: ${text}`)
  return text.toLowerCase().replaceAll('-', ':')
}
