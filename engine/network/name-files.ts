/** /etc/hosts, /etc/hostname and /etc/resolv.conf of a container; wire facts 146–149. Pure: the host's files are handed in. */
import { parseAddress } from '../base/address.ts'
import { resolverAddress } from '../resolver/redirect.ts'
import { numericOption, parseResolvConf, type ResolvConf } from '../resolver/resolv-conf.ts'
import type { ResolverConfig } from '../resolver/resolver-config.ts'
import { isPredefined } from './define-network.ts'
import { byGatewayPreference, gatewayEndpoints } from './gateway-choice.ts'
import type { NameFiles } from './network.ts'

export type HostFiles = { hosts: string; hostname: string; resolvConf: string }
/** `resolver`: for a container whose names are served. */
export type ContainerFiles = HostFiles & { resolver?: ResolverConfig }
export type NameContext = {
  host: HostFiles
  /** The file of a network's names. */
  namesPath: (networkId: string) => string
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
  const links = request.links.map(({ address, names: called }) => line(address, ...called))
  return [...localLines, ...localLines6, extra, ...links, ...own].join('')
}

/** A server on the host's own loopback cannot be reached from a network of the container's own. */
const isLoopback = (server: string): boolean => {
  const address = parseAddress(server.replace(/%.*$/, ''))
  return address === undefined || (address.version === 4 ? address.value >> 24n === 127n : address.value === 1n)
}

const publicServers = ['8.8.8.8', '8.8.4.4']

/** Names are served to containers on networks that somebody made; wire fact 146. */
const servesNames = ({ endpoints }: NameFiles): boolean =>
  endpoints.some(({ networkName }) => !isPredefined(networkName))

function serversOf(request: NameFiles, host: ResolvConf): string[] {
  if (servesNames(request)) return [resolverAddress]
  if (request.dns.length > 0) return request.dns
  const usable = request.hostNetwork ? host.servers : host.servers.filter((server) => !isLoopback(server))
  return usable.length > 0 ? usable : publicServers
}

/** A name without a dot is asked for as it stands: here, that is where containers are. */
function optionsOf(request: NameFiles, host: ResolvConf): string[] {
  const options = request.dnsOptions.length > 0 ? request.dnsOptions : host.options
  return servesNames(request) && numericOption(options, 'ndots') === undefined ? [...options, 'ndots:0'] : options
}

function resolverFile(request: NameFiles, hostText: string): string {
  const overridden = request.dns.length > 0 || request.dnsSearch.length > 0 || request.dnsOptions.length > 0
  if (request.hostNetwork && !overridden) return hostText
  const host = parseResolvConf(hostText)
  const search = (request.dnsSearch.length > 0 ? request.dnsSearch : host.search).filter((domain) => domain !== '.')
  const options = optionsOf(request, host)
  return [
    '# Written by Drydock when the container started; changes made here stay until it starts again.\n',
    ...serversOf(request, host).map((server) => `nameserver ${server}\n`),
    ...(search.length > 0 ? [`search ${search.join(' ')}\n`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}\n`] : []),
  ].join('')
}

/** Milliseconds for a server's answer, where no option says: two servers can be asked while a client waits its five seconds. */
const usualPatience = 2500

function resolverConfig(request: NameFiles, context: NameContext): ResolverConfig | undefined {
  if (!servesNames(request)) return undefined
  const ways = gatewayEndpoints(request.endpoints)
  const versions = ([4, 6] as const).filter((version) => ways[version] !== undefined)
  const timeout = numericOption(request.dnsOptions, 'timeout')
  return {
    networks: request.endpoints
      .filter(({ networkName }) => !isPredefined(networkName))
      .toSorted(byGatewayPreference)
      .map(({ networkId, links }) => ({ names: context.namesPath(networkId), links })),
    // Nothing leaves an internal network, questions included.
    ...(versions.length === 0
      ? {}
      : { upstream: { ...(request.dns.length > 0 ? { servers: request.dns } : {}), machineFile, versions } }),
    patience: timeout === undefined || timeout === 0 ? usualPatience : Math.min(timeout, 30) * 1000,
    keepSingleLabels: (numericOption(request.dnsOptions, 'ndots') ?? 0) > 0,
  }
}

/** Also where a resolver of the machine's own stands in it: that one is asked from the machine's network. */
const machineFile = '/etc/resolv.conf'

export function nameFiles(request: NameFiles, context: NameContext): ContainerFiles {
  const resolver = resolverConfig(request, context)
  return {
    hosts: hostsFile(request, context),
    hostname: `${request.hostname}\n`,
    resolvConf: resolverFile(request, context.host.resolvConf),
    ...(resolver === undefined ? {} : { resolver }),
  }
}
