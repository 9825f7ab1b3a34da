/** Options of one endpoint, in dockerd's names; and addresses beside the network's own. Pure. */
import { parseAddress } from '../base/address.ts'
import { EngineError } from '../base/errors.ts'
import type { InterfaceAddress } from './interior.ts'
import type { EndpointRequest } from './network.ts'

const nameOption = 'com.docker.network.endpoint.ifname'
const settingsOption = 'com.docker.network.endpoint.sysctls'

const invalid = (sentence: string): EngineError => new EngineError('invalid', sentence)

/** What the user calls the interface inside; undefined: the next of the usual ones. */
export function chosenInterfaceName(request: EndpointRequest, used: ReadonlySet<string>): string | undefined {
  const name = request.driverOptions?.[nameOption]
  if (name === undefined || name === '') return undefined
  if (!/^[^\s/:]{1,15}$/.test(name) || name === '.' || name === '..' || name === 'lo')
    throw invalid(`invalid interface name ${JSON.stringify(name)}: at most 15 bytes without / or space`)
  if (used.has(name)) throw invalid(`the container has an interface ${name} already`)
  return name
}

/** `net.ipv4.conf.IFNAME.log_martians=1,…`, where IFNAME stands for the interface. */
export function interfaceSettings(request: EndpointRequest, interfaceName: string): { path: string; value: string }[] {
  const texts = (request.driverOptions?.[settingsOption] ?? '').split(',').filter((text) => text !== '')
  return texts.map((text) => {
    const [, family, name, value] =
      /^net\.(ipv4|ipv6|mpls)\.((?:conf|neigh)\.IFNAME\.[a-z0-9_]+)=(.+)$/.exec(text) ?? []
    if (family === undefined || name === undefined || value === undefined)
      throw invalid(`invalid interface setting ${JSON.stringify(text)}: net.ipv4.conf.IFNAME.NAME=VALUE is one`)
    return { path: `${family}/${name.replaceAll('.', '/').replace('IFNAME', interfaceName)}`, value }
  })
}

/** 169.254.0.0/16 and fe80::/64: the link itself, whatever network is on it. */
export function linkLocalAddresses(request: EndpointRequest): InterfaceAddress[] {
  return (request.linkLocalAddresses ?? []).map((text) => {
    const address = parseAddress(text)
    if (address === undefined) throw invalid(`invalid link-local IP address: ${text}`)
    return { ...address, prefixLength: address.version === 4 ? 16 : 64 }
  })
}
