/** /etc/hosts, /etc/hostname and /etc/resolv.conf of a container; wire facts 146–149. Pure: the host's files are handed in. */
import { parseAddress } from './address.ts'
import type { NameFiles } from './network.ts'

export type HostFiles = { hosts: string; hostname: string; resolvConf: string }
export type NameContext = {
  host: HostFiles
  /** What `host-gateway` stands for. */
  hostGateway: string
}

const line = (address: string, ...names: string[]): string => `${address}\t${names.join(' ')}\n`

const localLines = [line('127.0.0.1', 'localhost')]
const localLines6 = [
  line('::1', 'localhost', 'ip6-localhost', 'ip6-loopback'),
  line('fe00::', 'ip6-localnet'),
  line('ff00::', 'ip6-mcastprefix'),
  line('ff02::1', 'ip6-allnodes'),
  line('ff02::2', 'ip6-allrouters'),
]

/** `name:address` or `name=address`; the name has no colon, the address may. */
function extraLine(extra: string, hostGateway: string): string {
  const match = /^([^:=]+)[:=](.*)$/.exec(extra)
  if (match === null) return ''
  const address = match[2]!.replace(/^\[(.*)\]$/, '$1')
  return line(address === 'host-gateway' ? hostGateway : address, match[1]!)
}

function hostsFile(request: NameFiles, context: NameContext): string {
  const extra = request.extraHosts.map((entry) => extraLine(entry, context.hostGateway)).join('')
  if (request.hostNetwork) {
    const host = context.host.hosts
    return host + (host === '' || host.endsWith('\n') ? '' : '\n') + extra
  }
  const names =
    request.domainname === '' ? [request.hostname] : [`${request.hostname}.${request.domainname}`, request.hostname]
  const own = request.endpoints
    .flatMap(({ ipAddress, ipv6Address }) => [ipAddress, ipv6Address])
    .filter((address) => address !== '')
    .map((address) => line(address, ...names))
  return [...localLines, ...localLines6, extra, ...own].join('')
}

type Resolver = { servers: string[]; search: string[]; options: string[] }

/** resolv.conf(5): the last `search` or `domain` counts. */
export function parseResolver(text: string): Resolver {
  const resolver: Resolver = { servers: [], search: [], options: [] }
  for (const raw of text.split('\n')) {
    const [keyword, ...values] = raw
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/)
    if (keyword === 'nameserver' && values[0] !== undefined) resolver.servers.push(values[0])
    else if (keyword === 'search' || keyword === 'domain') resolver.search = values
    else if (keyword === 'options') resolver.options.push(...values)
  }
  return resolver
}

/** A server on the host's own loopback cannot be reached from a network of the container's own. */
const isLoopback = (server: string): boolean => {
  const address = parseAddress(server.replace(/%.*$/, ''))
  return address === undefined || (address.version === 4 ? address.value >> 24n === 127n : address.value === 1n)
}

const publicServers = ['8.8.8.8', '8.8.4.4']

function resolverFile(request: NameFiles, hostText: string): string {
  const overridden = request.dns.length > 0 || request.dnsSearch.length > 0 || request.dnsOptions.length > 0
  if (request.hostNetwork && !overridden) return hostText
  const host = parseResolver(hostText)
  const usable = request.hostNetwork ? host.servers : host.servers.filter((server) => !isLoopback(server))
  const inherited = usable.length > 0 ? usable : publicServers
  const servers = request.dns.length > 0 ? request.dns : inherited
  const search = (request.dnsSearch.length > 0 ? request.dnsSearch : host.search).filter((domain) => domain !== '.')
  const options = request.dnsOptions.length > 0 ? request.dnsOptions : host.options
  return [
    '# Written by Drydock when the container started; changes made here stay until it starts again.\n',
    ...servers.map((server) => `nameserver ${server}\n`),
    ...(search.length > 0 ? [`search ${search.join(' ')}\n`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}\n`] : []),
  ].join('')
}

export const nameFiles = (request: NameFiles, context: NameContext): HostFiles => ({
  hosts: hostsFile(request, context),
  hostname: `${request.hostname}\n`,
  resolvConf: resolverFile(request, context.host.resolvConf),
})
