/** Networks on a machine of their own: before each test, a fresh network namespace of this process plays the host. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'node:test'
import { addressBytes, parseAddress } from '../../engine/base/address.ts'
import { Database } from '../../engine/base/database.ts'
import { isErrno } from '../../engine/kernel/libc.ffi.ts'
import { inNetworkNamespace, unshare } from '../../engine/kernel/namespaces.ffi.ts'
import { NetlinkSocket } from '../../engine/kernel/netlink-socket.ffi.ts'
import { beginConnection, bindSocket } from '../../engine/kernel/network-socket.ffi.ts'
import { probeTable } from '../../engine/kernel/nftables.ts'
import { linkIn, listLinks, setLinkUp } from '../../engine/kernel/route-messages.ts'
import { ContainerNetworks } from '../../engine/network/container-networks.ts'
import { instanceNames } from '../../engine/network/instance-names.ts'
import type { EndpointRequest, PortMap } from '../../engine/network/network.ts'
import { networkSchema } from '../../engine/network/network-schema.ts'
import { noPacketFilter } from './packet-filter.ts'

/** What needs a bridge. */
export const skip = noPacketFilter
/** What stands on a link of the machine: that needs no rules. */
export const needsRoot = process.getuid?.() !== 0 && 'needs root'

export let root: string
let database: Database
export let networks: ContainerNetworks
/** Closed after each test. */
export let servers: Server[]

const open = (): ContainerNetworks => new ContainerNetworks({ database, execRoot: root, instance: root })

/** What a daemon that starts again does. */
export const reopen = (): void => {
  networks = open()
}

export const links = (): string[] => {
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  return socket.dump(listLinks()).map((body) => linkIn(body).name)
}

beforeEach(() => {
  if (needsRoot !== false) return
  unshare(['network'])
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  socket.change(setLinkUp('lo', true))
  root = mkdtempSync(join(tmpdir(), 'networks-'))
  database = new Database(':memory:', [networkSchema])
  networks = open()
  servers = []
})

afterEach(async () => {
  if (needsRoot !== false) return
  for (const server of servers) server.close()
  await networks.destroy()
  assert.deepEqual(links(), ['lo'], 'no link is left')
  using rules = new NetlinkSocket('NETLINK_NETFILTER')
  assert.throws(
    () => rules.change(probeTable(instanceNames(root).table)),
    (error) => isErrno(error, 'ENOENT') || noPacketFilter !== false,
    'no table is left',
  )
  assert.ok(!existsSync(join(root, 'netns')), 'no namespace is left')
  database[Symbol.dispose]()
  rmSync(root, { recursive: true })
})

/** A namespace and an endpoint in it. */
export async function start(name: string, more: Partial<EndpointRequest> = {}) {
  const netnsPath = await networks.createNamespace(name)
  const endpoint = await networks.attach({
    networkId: networks.get('bridge').id,
    containerId: name,
    containerName: `/${name}`,
    netnsPath,
    ...more,
  })
  return { netnsPath, endpoint }
}

export const publish = (key: string, hostPort: string, hostIp = ''): { ports: PortMap } => ({
  ports: { [key]: [{ HostIp: hostIp, HostPort: hostPort }] },
})

/** A server inside a namespace that tells each client who it is to it. */
export async function serve(netnsPath: string, port: number, address = '0.0.0.0'): Promise<void> {
  const { fd } = inNetworkNamespace(netnsPath, () =>
    bindSocket('tcp', addressBytes(parseAddress(address)!), port, address),
  )
  const server = createServer((socket) => socket.end(`${socket.remoteAddress}`)).listen({ fd })
  servers.push(server)
  await once(server, 'listening')
}

export async function textOf(socket: Socket): Promise<string> {
  let text = ''
  try {
    for await (const data of socket.setEncoding('utf8').setTimeout(5000, () => socket.destroy(new Error('timeout'))))
      text += data
    return text
  } finally {
    socket.destroy()
  }
}

export const ask = (host: string, port: number): Promise<string> =>
  textOf(connect({ host, port })).catch((error) => {
    throw new Error(`${host}:${port}: ${error}`)
  })

export async function askFrom(netnsPath: string, host: string, port: number): Promise<string> {
  const fd = inNetworkNamespace(netnsPath, () => beginConnection(addressBytes(parseAddress(host)!), port, host))
  const socket = new Socket({ fd, readable: true, writable: true })
  return textOf(socket)
}

export const gateway = (name = 'bridge'): string => networks.get(name).ipam.Config[0]!.Gateway!
