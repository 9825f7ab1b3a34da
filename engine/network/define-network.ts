/** From what a client asks for to a network's definition. Pure but for random numbers; throws before anything is made. */
import { randomBytes } from 'node:crypto'
import { formatAddress, formatSubnet, overlaps, type Subnet } from '../base/address.ts'
import { EngineError } from '../base/errors.ts'
import { newId } from '../base/identifier.ts'
import { timestamp } from '../base/time.ts'
import { chooseSubnet } from './address-pools.ts'
import { bridgeName } from './instance-names.ts'
import type { CreateNetwork, IpamConfig, Network, NetworkDriver } from './network.ts'
import { bridgeSettings, mtuOf } from './network-options.ts'
import { addressSpace } from './network-plan.ts'
import type { StoredNetwork } from './network-store.ts'

const predefined: Record<string, NetworkDriver> = { bridge: 'bridge', host: 'host', none: 'null' }

export const isPredefined = (name: string): boolean => Object.hasOwn(predefined, name)

const plain = (name: string, driver: NetworkDriver): Network => ({
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
    const network = plain(name, driver)
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

/** A /64 of a random site of its own; RFC 4193. */
const uniqueLocalSubnet = (): string => {
  const site = Buffer.concat([Buffer.of(0xfd), randomBytes(5)])
    .toString('hex')
    .match(/..../g)!
  return `${site.join(':')}::/64`
}

function checkRequest(request: CreateNetwork): void {
  if (request.name.trim() === '') throw new EngineError('invalid', 'network name must not be blank')
  if (isPredefined(request.name))
    throw new EngineError('forbidden', `operation is not permitted on predefined ${request.name} network `)
  const driver = request.driver ?? ''
  if (driver === 'host' || driver === 'null')
    throw new EngineError('forbidden', `only one instance of "${driver}" network is allowed`)
  if (!['', 'default', 'bridge'].includes(driver)) throw new EngineError('not-found', `plugin "${driver}" not found`)
  const ipam = request.ipam?.Driver ?? ''
  if (ipam !== '' && ipam !== 'default') throw new EngineError('not-found', `plugin "${ipam}" not found`)
}

function configsOf(request: CreateNetwork, taken: readonly Subnet[]): IpamConfig[] {
  const given = (request.ipam?.Config ?? []).filter(({ Subnet }) => Subnet !== undefined && Subnet !== '')
  const configs = given.map(withGateway)
  const versions = configs.map((config) => addressSpace(config).subnet.version)
  if (new Set(versions).size !== versions.length)
    throw new EngineError('invalid', `network ${request.name} can have one subnet of each IP version`)
  if (versions.includes(6) && request.enableIPv6 !== true)
    throw new EngineError('invalid', `network ${request.name} has an IPv6 subnet, but IPv6 is not enabled`)
  if (request.enableIPv4 !== false && !versions.includes(4))
    configs.unshift(withGateway({ Subnet: formatSubnet(chooseSubnet(taken)) }))
  if (request.enableIPv6 === true && !versions.includes(6)) configs.push(withGateway({ Subnet: uniqueLocalSubnet() }))
  if (configs.length === 0) throw new EngineError('invalid', 'IPv4 or IPv6 must be enabled')
  return configs
}

/** A user-defined bridge network. `others` are the networks there are, `taken` also the machine's own subnets. */
export function defineNetwork(
  request: CreateNetwork,
  others: readonly Subnet[],
  taken: readonly Subnet[],
): StoredNetwork {
  checkRequest(request)
  const Config = configsOf(request, taken)
  for (const config of Config)
    if (others.some((other) => overlaps(other, addressSpace(config).subnet)))
      throw new EngineError('forbidden', 'invalid pool request: Pool overlaps with other one on this address space')
  const network: Network = {
    ...plain(request.name, 'bridge'),
    internal: request.internal ?? false,
    attachable: request.attachable ?? false,
    enableIPv4: request.enableIPv4 ?? true,
    enableIPv6: request.enableIPv6 ?? false,
    ipam: { Driver: 'default', Options: request.ipam?.Options ?? {}, Config },
    options: request.options ?? {},
    labels: request.labels ?? {},
  }
  mtuOf(network)
  bridgeSettings(network)
  const bridge = network.options['com.docker.network.bridge.name'] || bridgeName(network.id)
  if (!/^[^\s/:]{1,15}$/.test(bridge) || bridge === '.' || bridge === '..')
    throw new EngineError(
      'invalid',
      `invalid bridge name ${JSON.stringify(bridge)}: at most 15 bytes without / or space`,
    )
  return { ...network, bridge }
}
