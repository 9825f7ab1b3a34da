/** A container's networks as it was asked for them: by name, and checked before anything is made; wire facts 122 and 150. */
import { contains, parseAddress, parseSubnet } from '../base/address.ts'
import { EngineError } from '../base/errors.ts'
import type { Network } from '../network/network.ts'
import type { EndpointSettings, HostConfig } from './container.ts'
import type { Engine } from './engine.ts'

const predefined = new Set(['bridge', 'host', 'none', 'default'])

/** By network name, the one of NetworkMode among them. Throws invalid. */
export function endpointSettings(
  engine: Engine,
  given: Readonly<Record<string, EndpointSettings>>,
  host: HostConfig,
): Record<string, EndpointSettings> {
  const mode = host.NetworkMode ?? 'bridge'
  if (mode.startsWith('container:')) return {}
  const known = (reference: string): Network | undefined =>
    engine.networks.list().find(({ id, name }) => id === reference || name === reference)
  const settings: Record<string, EndpointSettings> = {}
  const add = (reference: string, one: EndpointSettings): void => {
    const network = known(reference)
    checkEndpointSettings(network?.name ?? reference, network, one)
    settings[network?.name ?? reference] = one
  }
  const isMode = (key: string): boolean =>
    key === 'default' || key === mode || (known(key) !== undefined && known(key) === known(mode))
  if (!Object.keys(given).some(isMode)) add(mode, {})
  for (const [key, one] of Object.entries(given)) add(key === 'default' ? mode : key, one)
  return settings
}

function* addressProblems(network: Network | undefined, settings: EndpointSettings): Generator<string> {
  const { IPv4Address, IPv6Address, LinkLocalIPs = [] } = settings.IPAMConfig ?? {}
  const subnets = (network?.ipam.Config ?? []).map(({ Subnet = '' }) => parseSubnet(Subnet))
  for (const [version, text] of [
    [4, IPv4Address],
    [6, IPv6Address],
  ] as const) {
    if (!text) continue
    const address = parseAddress(text)
    if (address?.version !== version) yield `invalid IPv${version} address: ${text}`
    else if (network !== undefined && !subnets.some((subnet) => contains(subnet, address)))
      yield `no configured subnet contains IP address ${text}`
  }
  for (const text of LinkLocalIPs) if (parseAddress(text) === undefined) yield `invalid link-local IP address: ${text}`
}

/** Throws invalid with all that is wrong, in dockerd's words. `network` is undefined where it is not there (yet). */
export function checkEndpointSettings(name: string, network: Network | undefined, settings: EndpointSettings): void {
  const problems: string[] = []
  if (predefined.has(name)) {
    if (settings.IPAMConfig?.IPv4Address || settings.IPAMConfig?.IPv6Address)
      problems.push('user specified IP address is supported on user defined networks only')
    if ((settings.Aliases ?? []).length > 0)
      problems.push('network-scoped alias is supported only for containers in user defined networks')
  }
  problems.push(...addressProblems(network, settings))
  if (problems.length === 0) return
  const list = problems.length === 1 ? problems[0] : problems.map((problem) => `* ${problem}`).join('\n')
  throw new EngineError('invalid', `invalid endpoint settings:\n${list}`)
}
