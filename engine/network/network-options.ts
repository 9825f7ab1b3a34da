/** What the options of a bridge network mean; dockerd's names. Pure. */
import { isIPv4 } from 'node:net'
import type { IpVersion } from '../base/address.ts'
import { EngineError } from '../base/errors.ts'
import type { Network } from './network.ts'

/**
 * How containers and the world reach each other:
 * nat: out by the machine's address, in by published ports alone;
 * nat-unprotected: the same, and every port is open to whoever has a route to the container;
 * routed: no translation; published ports are open to whoever has a route, the others are not;
 * isolated: an internal network on which the machine itself has no address.
 */
export type GatewayMode = 'nat' | 'nat-unprotected' | 'routed' | 'isolated'

const gatewayModes: readonly string[] = ['nat', 'nat-unprotected', 'routed', 'isolated'] satisfies GatewayMode[]

export type BridgeSettings = {
  /** Whether the network's containers reach each other. */
  icc: boolean
  masquerade: boolean
  gatewayModes: Record<IpVersion, GatewayMode>
  /** Where ports are published that name no address of the machine; undefined: on all. */
  hostBinding: string | undefined
  /** Of the interfaces inside, `eth` for eth0. */
  interfacePrefix: string
  /** The bridge has no IPv4 address: somebody else is the gateway. */
  inhibitIPv4: boolean
}

const prefix = 'com.docker.network.bridge.'
const known = new Set([
  'default_bridge',
  'enable_icc',
  'enable_ip_masquerade',
  'gateway_mode_ipv4',
  'gateway_mode_ipv6',
  'host_binding_ipv4',
  'inhibit_ipv4',
  'name',
])

const invalid = (sentence: string): EngineError => new EngineError('invalid', sentence)

/** Go's spellings of a boolean. */
function flag(name: string, text: string | undefined, otherwise: boolean): boolean {
  if (text === undefined) return otherwise
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false
  throw invalid(`failed to parse ${name} value: ${JSON.stringify(text)} is neither true nor false`)
}

function gatewayMode(network: Pick<Network, 'options' | 'internal'>, version: IpVersion): GatewayMode {
  const name = `${prefix}gateway_mode_ipv${version}`
  const text = network.options[name] || 'nat'
  if (!gatewayModes.includes(text)) throw invalid(`unknown gateway mode ${text} for ${name}`)
  if (text === 'isolated' && !network.internal)
    throw invalid("gateway mode 'isolated' can only be used for an internal network")
  return text as GatewayMode
}

/** Throws invalid at a value that means nothing, and at an option that would not be kept. */
export function bridgeSettings(network: Pick<Network, 'options' | 'internal'>): BridgeSettings {
  const { options } = network
  for (const name of Object.keys(options))
    if (name.startsWith(prefix) && !known.has(name.slice(prefix.length)))
      throw invalid(`option ${name} is not supported by this engine's bridge networks`)
  const hostBinding = options[`${prefix}host_binding_ipv4`]
  if (hostBinding !== undefined && hostBinding !== '' && !isIPv4(hostBinding))
    throw invalid(
      `invalid value ${JSON.stringify(hostBinding)} of ${prefix}host_binding_ipv4: an IPv4 address is needed`,
    )
  const interfacePrefix = options['com.docker.network.container_iface_prefix'] || 'eth'
  if (!/^[^\s/:]{1,12}$/.test(interfacePrefix))
    throw invalid(
      `invalid interface name prefix ${JSON.stringify(interfacePrefix)}: at most 12 bytes without / or space`,
    )
  return {
    icc: flag(`${prefix}enable_icc`, options[`${prefix}enable_icc`], true),
    masquerade: flag(`${prefix}enable_ip_masquerade`, options[`${prefix}enable_ip_masquerade`], true),
    gatewayModes: { 4: gatewayMode(network, 4), 6: gatewayMode(network, 6) },
    hostBinding: hostBinding === '' || hostBinding === '0.0.0.0' ? undefined : hostBinding,
    interfacePrefix,
    inhibitIPv4: flag(`${prefix}inhibit_ipv4`, options[`${prefix}inhibit_ipv4`], false),
  }
}

export function mtuOf({ options }: Pick<Network, 'options'>): { mtu?: number } {
  const text = options['com.docker.network.driver.mtu']
  if (text === undefined || text === '') return {}
  const mtu = Number(text)
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > 65535)
    throw invalid(`invalid MTU ${JSON.stringify(text)}: 68 to 65535`)
  return { mtu }
}
