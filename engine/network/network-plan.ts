/** What a network's definition means: addresses, gateway, options; and what is wrong with a request. Pure. */

import {
  addressBits,
  contains,
  formatAddress,
  formatSubnet,
  type IpAddress,
  type IpVersion,
  parseAddress,
  parseSubnet,
  type Subnet,
} from '../base/address.ts'
import { EngineError } from '../base/errors.ts'
import { chooseAddress } from './address-pools.ts'
import type { FirewallNetwork } from './firewall.ts'
import type { InterfaceAddress } from './interior.ts'
import type { IpamConfig, Network } from './network.ts'
import { bridgeSettings } from './network-options.ts'
import type { StoredNetwork } from './network-store.ts'

export type AddressSpace = {
  subnet: Subnet
  range: Subnet
  gateway: IpAddress
  /** Never given out. */
  reserved: ReadonlySet<bigint>
}

const addressIn = (text: string, subnet: Subnet, what: string): IpAddress => {
  const address = parseAddress(text)
  if (address === undefined) throw new EngineError('invalid', `invalid ${what} ${text}`)
  if (!contains(subnet, address))
    throw new EngineError(
      'invalid',
      `invalid ${what} ${text}: parent subnet ${formatSubnet(subnet)} doesn't contain it`,
    )
  return address
}

/** One entry of IPAM.Config, checked. Throws invalid. */
export function addressSpace(config: IpamConfig): AddressSpace {
  const subnet = parseSubnet(config.Subnet ?? '')
  if (addressBits(subnet.version) - subnet.prefixLength < 2)
    throw new EngineError('invalid', `invalid subnet ${config.Subnet}: it has no room for a gateway and a container`)
  const range = config.IPRange === undefined || config.IPRange === '' ? subnet : parseSubnet(config.IPRange)
  if (!contains(subnet, { version: range.version, value: range.network }) || range.prefixLength < subnet.prefixLength)
    throw new EngineError('invalid', `invalid ip-range ${config.IPRange}: it is not inside subnet ${config.Subnet}`)
  const gateway =
    config.Gateway === undefined || config.Gateway === ''
      ? { version: subnet.version, value: subnet.network + 1n }
      : addressIn(config.Gateway, subnet, 'gateway')
  const auxiliary = Object.values(config.AuxiliaryAddresses ?? {}).map((text) =>
    addressIn(text, subnet, 'auxiliary address'),
  )
  return { subnet, range, gateway, reserved: new Set([gateway, ...auxiliary].map(({ value }) => value)) }
}

/** Of the IP versions that the network has. */
export const spacesOf = (network: Network): AddressSpace[] =>
  network.configOnly === true
    ? []
    : network.ipam.Config.map(addressSpace).filter(({ subnet }) =>
        subnet.version === 4 ? network.enableIPv4 : network.enableIPv6,
      )

export const spaceOf = (network: Network, version: IpVersion): AddressSpace | undefined =>
  spacesOf(network).find(({ subnet }) => subnet.version === version)

/** The bridge's own; none where somebody else is the gateway, or nobody. */
export const gatewayAddresses = (network: Network): InterfaceAddress[] => {
  const { gatewayModes, inhibitIPv4 } = bridgeSettings(network)
  return spacesOf(network)
    .filter(({ subnet }) => gatewayModes[subnet.version] !== 'isolated' && !(subnet.version === 4 && inhibitIPv4))
    .map(({ gateway, subnet }) => ({ ...gateway, prefixLength: subnet.prefixLength }))
}

export const firewallNetwork = (network: StoredNetwork): FirewallNetwork => {
  const { icc, masquerade, gatewayModes } = bridgeSettings(network)
  return {
    bridge: network.bridge,
    internal: network.internal,
    masquerade,
    icc,
    modes: gatewayModes,
    subnets: spacesOf(network).map(({ subnet }) => subnet),
  }
}

export type LeaseRequest = { wanted: string | undefined; taken: ReadonlySet<bigint>; last: string }

/** An address for a new endpoint: the one asked for, or the next free one. */
export function leaseAddress(network: Network, space: AddressSpace, lease: LeaseRequest): IpAddress {
  if (lease.wanted !== undefined && lease.wanted !== '') {
    const address = parseAddress(lease.wanted)
    if (address === undefined || address.version !== space.subnet.version)
      throw new EngineError('invalid', `invalid IPv${space.subnet.version} address: ${lease.wanted}`)
    if (!contains(space.subnet, address))
      throw new EngineError(
        'invalid',
        `invalid endpoint settings:\nno configured subnet contains IP address ${formatAddress(address)}`,
      )
    if (lease.taken.has(address.value) || space.reserved.has(address.value))
      throw new EngineError('forbidden', 'Address already in use')
    return address
  }
  const last = parseAddress(lease.last)?.value
  const taken = new Set([...space.reserved, ...lease.taken])
  const free = chooseAddress({
    range: space.range,
    subnet: space.subnet,
    taken,
    ...(last === undefined ? {} : { last }),
  })
  if (free !== undefined) return free
  throw new EngineError(
    'unavailable',
    `no available IPv${space.subnet.version} addresses on this network's address pools: ${network.name} (${network.id})`,
  )
}
