/** From what a client asks for to a network's definition. Pure but for random numbers; throws before anything is made. */
import { formatAddress, formatSubnet, type IpVersion, overlaps, parseSubnet, type Subnet } from '../base/address.ts'
import { EngineError } from '../base/errors.ts'
import { newId } from '../base/identifier.ts'
import { timestamp } from '../base/time.ts'
import { chooseSubnet } from './address-pools.ts'
import { bridgeName } from './instance-names.ts'
import { checkIpam } from './ipam-check.ts'
import type { CreateNetwork, IpamConfig, Network, NetworkDriver } from './network.ts'
import { bridgeSettings, mtuOf } from './network-options.ts'
import { addressSpace, spacesOf } from './network-plan.ts'
import type { StoredNetwork } from './network-store.ts'
import { parentSettings } from './parent-settings.ts'

const predefined: Record<string, NetworkDriver> = { bridge: 'bridge', host: 'host', none: 'null' }

export const isPredefined = (name: string): boolean => Object.hasOwn(predefined, name)

/** As it is where nobody has said anything. */
export const plainNetwork = (name: string, driver: NetworkDriver): Network => ({
  id: newId(),
  name,
  driver,
  created: timestamp(),
  internal: false,
  attachable: false,
  enableIPv4: true,
  enableIPv6: false,
  ipam: { Driver: 'default', Options: {}, Config: [] },
  options: {},
  labels: {},
})

/** bridge, host and none; made once, their ids stay. */
export function predefinedNetworks(defaultBridge: string, taken: readonly Subnet[]): StoredNetwork[] {
  return Object.entries(predefined).map(([name, driver]) => {
    const network = plainNetwork(name, driver)
    if (driver !== 'bridge') return { ...network, bridge: '' }
    const options = {
      'com.docker.network.bridge.default_bridge': 'true',
      'com.docker.network.bridge.enable_icc': 'true',
      'com.docker.network.bridge.enable_ip_masquerade': 'true',
      'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
      'com.docker.network.bridge.name': defaultBridge,
      'com.docker.network.driver.mtu': '1500',
    }
    const ipam = { ...network.ipam, Config: [withGateway({ Subnet: formatSubnet(chooseSubnet(taken)) })] }
    return { ...network, options, ipam, bridge: defaultBridge }
  })
}

/** Checks the entry, and fills in the gateway. */
function withGateway(config: IpamConfig): IpamConfig {
  const { subnet, gateway } = addressSpace(config)
  return { ...config, Subnet: formatSubnet(subnet), Gateway: formatAddress(gateway) }
}

/** What tells this machine's networks from others': the site that their IPv6 subnets are in; RFC 4193. */
export type Site = {
  /** Five bytes, the same for as long as the machine is. */
  identifier: Buffer
}

/** The site's first /64 that overlaps nothing taken; of 65536, in the order of their numbers. */
function uniqueLocalSubnet({ identifier }: Site, taken: readonly Subnet[]): string {
  const site = Buffer.concat([Buffer.of(0xfd), identifier])
    .toString('hex')
    .match(/..../g)!
    .join(':')
  for (let number = 0; number < 65536; number += 1) {
    const subnet = parseSubnet(`${site}:${number.toString(16)}::/64`)
    if (!taken.some((other) => overlaps(subnet, other))) return formatSubnet(subnet)
  }
  throw new EngineError('invalid', 'all predefined address pools have been fully subnetted')
}

export function checkRequest(request: CreateNetwork): void {
  if (request.name.trim() === '') throw new EngineError('invalid', 'network name must not be blank')
  if (isPredefined(request.name))
    throw new EngineError('forbidden', `operation is not permitted on predefined ${request.name} network `)
  const driver = request.driver ?? ''
  if (driver === 'host' || driver === 'null')
    throw new EngineError('forbidden', `only one instance of "${driver}" network is allowed`)
  if (!['', 'default', 'bridge', 'macvlan', 'ipvlan'].includes(driver))
    throw new EngineError('not-found', `plugin "${driver}" not found`)
  const ipam = request.ipam?.Driver ?? ''
  if (ipam !== '' && ipam !== 'default') throw new EngineError('not-found', `plugin "${ipam}" not found`)
}

const versionsOf = (request: CreateNetwork): IpVersion[] => [
  ...(request.enableIPv4 === false ? [] : [4 as const]),
  ...(request.enableIPv6 === true ? [6 as const] : []),
]

function configsOf(request: CreateNetwork, taken: readonly Subnet[], site: Site): IpamConfig[] {
  const versions = versionsOf(request)
  if (versions.length === 0) throw new EngineError('invalid', 'IPv4 or IPv6 must be enabled')
  const given = request.ipam?.Config ?? []
  checkIpam(given, versions)
  // As dockerd has it: a subnet of a version that the network does not have stands there, and counts for nothing.
  const has = ({ Subnet = '' }: IpamConfig): boolean => versions.includes(parseSubnet(Subnet).version)
  const configs = given.map((config) => (has(config) ? withGateway(config) : config))
  const used = configs.filter(has).map(({ Subnet = '' }) => parseSubnet(Subnet).version)
  if (new Set(used).size !== used.length && !severalSubnets.has(request.driver ?? ''))
    throw new EngineError('forbidden', "bridge driver doesn't support multiple subnets of one IP version")
  if (versions.includes(4) && !used.includes(4))
    configs.unshift(withGateway({ Subnet: formatSubnet(chooseSubnet(taken)) }))
  if (versions.includes(6) && !used.includes(6)) configs.push(withGateway({ Subnet: uniqueLocalSubnet(site, taken) }))
  return configs
}

const severalSubnets = new Set(['macvlan', 'ipvlan'])

/** What the client should be told of a network that was made as it asked. */
export const networkWarning = (request: CreateNetwork): string => {
  if (request.configOnly === true) return ''
  const versions = versionsOf(request)
  const unused = (request.ipam?.Config ?? []).filter(
    ({ Subnet = '' }) => !versions.includes(parseSubnet(Subnet).version),
  )
  return unused
    .map(({ Subnet }) => `Subnet ${Subnet} is not used: its IP version is not enabled for the network`)
    .join('\n')
}

/** A network of the user's. `others` are the networks there are, `taken` also the machine's own subnets. */
export function defineNetwork(
  request: CreateNetwork,
  { others, taken, site }: { others: readonly Subnet[]; taken: readonly Subnet[]; site: Site },
): StoredNetwork {
  checkRequest(request)
  const driver = (request.driver || 'bridge').replace(/^default$/, 'bridge') as NetworkDriver
  const Config = configsOf(request, taken, site)
  const network: Network = {
    ...plainNetwork(request.name, driver),
    internal: request.internal ?? false,
    attachable: request.attachable ?? false,
    enableIPv4: request.enableIPv4 ?? true,
    enableIPv6: request.enableIPv6 ?? false,
    ipam: { Driver: 'default', Options: request.ipam?.Options ?? {}, Config },
    options: request.options ?? {},
    labels: request.labels ?? {},
    ...(request.configFrom ? { configFrom: request.configFrom } : {}),
  }
  for (const { subnet } of spacesOf(network))
    if (others.some((other) => overlaps(other, subnet)))
      throw new EngineError('forbidden', 'invalid pool request: Pool overlaps with other one on this address space')
  mtuOf(network)
  if (driver !== 'bridge') {
    parentSettings(network)
    return { ...network, bridge: '' }
  }
  bridgeSettings(network)
  return { ...network, bridge: checkedBridgeName(network) }
}

function checkedBridgeName(network: Network): string {
  const bridge = network.options['com.docker.network.bridge.name'] || bridgeName(network.id)
  if (!/^[^\s/:]{1,15}$/.test(bridge) || bridge === '.' || bridge === '..')
    throw new EngineError(
      'invalid',
      `invalid bridge name ${JSON.stringify(bridge)}: at most 15 bytes without / or space`,
    )
  return bridge
}
