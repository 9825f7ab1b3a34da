/** `network ls`, `create`, `connect`, …; docker network(1). */
import type { Command } from 'commander'
import type { CreateNetworkAnswer, Network } from '../api/contract/docker-store.ts'
import { type ApiClient, DaemonError } from './api-client.ts'
import { forEach, silent } from './each.ts'
import { flagParsers } from './flag-parsers.ts'
import { given, keyValues } from './flag-values.ts'
import { inspectKind } from './inspect.ts'
import { type Column, type ListFlags, renderList } from './listing.ts'
import { filtersOf, labelText, listFlags, withTrunc } from './lists.ts'
import { addPrune } from './prune.ts'

const columns = (noTrunc: boolean): Column<Network>[] => [
  { name: 'ID', head: 'NETWORK ID', text: ({ Id }) => (noTrunc ? Id : Id.slice(0, 12)) },
  { name: 'Name', head: 'NAME', text: ({ Name }) => Name },
  { name: 'Driver', head: 'DRIVER', text: ({ Driver }) => Driver },
  { name: 'Scope', head: 'SCOPE', text: ({ Scope }) => Scope },
  { name: 'IPv4', head: 'IPV4', text: ({ EnableIPv4 }) => String(EnableIPv4) },
  { name: 'IPv6', head: 'IPV6', text: ({ EnableIPv6 }) => String(EnableIPv6) },
  { name: 'Internal', head: 'INTERNAL', text: ({ Internal }) => String(Internal) },
  { name: 'Labels', head: 'LABELS', text: ({ Labels }) => labelText(Labels) },
  { name: 'CreatedAt', head: 'CREATED AT', text: ({ Created }) => goTime(Created) },
]

/** As Go prints a time: `2026-01-02 03:04:05.123 +0000 UTC`. */
const goTime = (time: string): string => time.replace('T', ' ').replace('Z', ' +0000 UTC')

const pathOf = (name: string, rest = ''): string => `/networks/${encodeURIComponent(name)}${rest}`

async function list(client: ApiClient, flags: ListFlags & { filter: string[] }): Promise<string> {
  const networks = await client.json<Network[]>('GET', '/networks', { query: { filters: filtersOf(flags.filter) } })
  const sorted = networks.toSorted((a, b) => (a.Name < b.Name ? -1 : 1))
  return renderList(sorted, columns(flags.noTrunc === true), ['ID', 'Name', 'Driver', 'Scope'], 'ID', flags)
}

type CreateFlags = {
  driver: string
  subnet: string[]
  gateway: string[]
  ipRange: string[]
  auxAddress: string[]
  ipamDriver: string
  ipamOpt: string[]
  internal?: boolean
  attachable?: boolean
  ipv4?: boolean
  configOnly?: boolean
  configFrom?: string
  ipv6?: boolean
  label: string[]
  opt: string[]
}

/** A gateway, range or reserved address belongs to the subnet at its place in the list, as for docker. */
function ipamOf(flags: CreateFlags): object {
  if (flags.gateway.length > flags.subnet.length || flags.ipRange.length > flags.subnet.length)
    throw new Error('every ip-range or gateway must have a corresponding subnet')
  const Config = flags.subnet.map((Subnet, at) => ({
    Subnet,
    ...given({ Gateway: flags.gateway[at], IPRange: flags.ipRange[at] }),
    ...(at === 0 && flags.auxAddress.length > 0 ? { AuxiliaryAddresses: keyValues(flags.auxAddress) } : {}),
  }))
  return { Driver: flags.ipamDriver, Options: keyValues(flags.ipamOpt), Config }
}

async function create(client: ApiClient, name: string, flags: CreateFlags): Promise<void> {
  const body = {
    Name: name,
    Driver: flags.driver,
    IPAM: ipamOf(flags),
    ConfigOnly: flags.configOnly === true,
    ...(flags.configFrom === undefined ? {} : { ConfigFrom: { Network: flags.configFrom } }),
    Internal: flags.internal === true,
    Attachable: flags.attachable === true,
    ...given({ EnableIPv4: flags.ipv4, EnableIPv6: flags.ipv6 }),
    Options: keyValues(flags.opt),
    Labels: keyValues(flags.label),
  }
  const { Id, Warning } = await client.json<CreateNetworkAnswer>('POST', '/networks/create', { body })
  if (Warning !== '') process.stderr.write(`WARNING: ${Warning}\n`)
  process.stdout.write(`${Id}\n`)
}

async function remove(client: ApiClient, name: string, force: boolean): Promise<unknown> {
  try {
    return await client.send('DELETE', pathOf(name))
  } catch (error) {
    if (force && error instanceof DaemonError && error.status === 404) return silent
    throw error
  }
}

type ConnectFlags = {
  alias: string[]
  driverOpt: string[]
  gwPriority?: number
  ip?: string
  ip6?: string
  link: string[]
  linkLocalIp: string[]
}

const connect = (client: ApiClient, network: string, container: string, flags: ConnectFlags): Promise<number> => {
  const addresses = given({ IPv4Address: flags.ip, IPv6Address: flags.ip6 })
  const local = flags.linkLocalIp.length > 0 ? { LinkLocalIPs: flags.linkLocalIp } : {}
  const EndpointConfig = {
    IPAMConfig: { ...addresses, ...local },
    ...(flags.alias.length > 0 ? { Aliases: flags.alias } : {}),
    ...(flags.link.length > 0 ? { Links: flags.link } : {}),
    ...(flags.driverOpt.length > 0 ? { DriverOpts: keyValues(flags.driverOpt) } : {}),
    ...given({ GwPriority: flags.gwPriority }),
  }
  return client.send('POST', pathOf(network, '/connect'), { body: { Container: container, EndpointConfig } })
}

const { collect, integer } = flagParsers

function addCreate(group: Command, client: () => ApiClient): void {
  group
    .command('create')
    .description('Create a network')
    .option('-d, --driver <name>', 'bridge', 'bridge')
    .option('--subnet <subnet>', 'in CIDR form', collect, [])
    .option('--gateway <address>', 'of the subnet', collect, [])
    .option('--ip-range <range>', 'that containers get addresses of', collect, [])
    .option('--aux-address <entry>', 'name=address that nobody gets', collect, [])
    .option('--ipam-driver <name>', 'default', 'default')
    .option('--ipam-opt <option>', 'key=value', collect, [])
    .option('--config-only', 'nothing but a configuration for others')
    .option('--config-from <network>', 'the network that this one has its configuration from')
    .option('--internal', 'no way out')
    .option('--attachable', 'containers may join by hand')
    .option('--ipv4', 'with IPv4 addresses')
    .option('--no-ipv4', 'without')
    .option('--ipv6', 'with IPv6 addresses')
    .option('--label <label>', 'key=value', collect, [])
    .option('-o, --opt <option>', 'key=value for the driver', collect, [])
    .argument('<network>')
    .action((name: string, flags: CreateFlags) => create(client(), name, flags))
}

function addMembers(group: Command, client: () => ApiClient): void {
  group
    .command('connect')
    .description('Connect a container to a network')
    .option('--alias <name>', 'a further name of the container there', collect, [])
    .option('--driver-opt <option>', 'key=value', collect, [])
    .option('--gw-priority <number>', 'the highest has the default gateway', integer)
    .option('--ip <address>', 'IPv4 address')
    .option('--ip6 <address>', 'IPv6 address')
    .option('--link <container>', 'name:alias', collect, [])
    .option('--link-local-ip <address>', 'a link-local address', collect, [])
    .argument('<network>')
    .argument('<container>')
    .action(async (network: string, container: string, flags: ConnectFlags) => {
      await connect(client(), network, container, flags)
    })
  group
    .command('disconnect')
    .description('Disconnect a container from a network')
    .option('-f, --force', 'also when it is not there any more')
    .argument('<network>')
    .argument('<container>')
    .action(async (network: string, Container: string, { force = false }: { force?: boolean }) => {
      await client().send('POST', pathOf(network, '/disconnect'), { body: { Container, Force: force } })
    })
}

export function addNetworkVerbs(program: Command, client: () => ApiClient): void {
  const group = program.command('network').description('Networks of containers')
  listFlags(group.command('ls').alias('list').description('List networks'))
    .option('--no-trunc', 'whole values')
    .action(async (flags) => void process.stdout.write(await list(client(), withTrunc(flags))))
  addCreate(group, client)
  addMembers(group, client)
  inspectKind(group, client, 'network').option('-v, --verbose', 'as without it: there is no more to tell')
  group
    .command('rm')
    .alias('remove')
    .description('Remove networks')
    .option('-f, --force', 'no complaint about those that are not there')
    .argument('<network...>')
    .action((names: string[], { force }: { force?: boolean }) =>
      forEach(names, (name) => remove(client(), name, force === true)),
    )
  addPrune(group, client, 'networks')
}
