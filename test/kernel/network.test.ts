/** Networks on a machine of their own: a network namespace of this process plays the host. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { Database } from '../../engine/base/database.ts'
import { isKind } from '../../engine/base/errors.ts'
import { isErrno } from '../../engine/kernel/libc.ffi.ts'
import { inNetworkNamespace, unshare } from '../../engine/kernel/namespaces.ffi.ts'
import { NetlinkSocket } from '../../engine/kernel/netlink-socket.ffi.ts'
import { beginConnection, bindSocket, connectionState } from '../../engine/kernel/network-socket.ffi.ts'
import { probeTable } from '../../engine/kernel/nftables.ts'
import { addAddress, addBridge, deleteLink, linkIn, listLinks, setLinkUp } from '../../engine/kernel/route-messages.ts'
import { addressBytes, parseAddress } from '../../engine/network/address.ts'
import { ContainerNetworks } from '../../engine/network/container-networks.ts'
import { instanceNames } from '../../engine/network/instance-names.ts'
import type { EndpointRequest, PortMap } from '../../engine/network/network.ts'
import { networkSchema } from '../../engine/network/network-schema.ts'

const skip = process.getuid?.() !== 0 && 'needs root'

let root: string
let database: Database
let networks: ContainerNetworks
let servers: Server[]

const open = (): ContainerNetworks => new ContainerNetworks({ database, execRoot: root, instance: root })

const links = (): string[] => {
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  return socket.dump(listLinks()).map((body) => linkIn(body).name)
}

beforeEach(() => {
  if (skip !== false) return
  unshare(['network'])
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  socket.change(setLinkUp('lo', true))
  root = mkdtempSync(join(tmpdir(), 'networks-'))
  database = new Database(':memory:', [networkSchema])
  networks = open()
  servers = []
})

afterEach(async () => {
  if (skip !== false) return
  for (const server of servers) server.close()
  await networks.destroy()
  assert.deepEqual(links(), ['lo'], 'no link is left')
  using rules = new NetlinkSocket('NETLINK_NETFILTER')
  assert.throws(
    () => rules.change(probeTable(instanceNames(root).table)),
    (error) => isErrno(error, 'ENOENT'),
    'no table is left',
  )
  assert.ok(!existsSync(join(root, 'netns')), 'no namespace is left')
  database[Symbol.dispose]()
  rmSync(root, { recursive: true })
})

/** A namespace and an endpoint in it. */
async function start(name: string, more: Partial<EndpointRequest> = {}) {
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

const publish = (key: string, hostPort: string, hostIp = ''): { ports: PortMap } => ({
  ports: { [key]: [{ HostIp: hostIp, HostPort: hostPort }] },
})

/** A server inside a namespace that tells each client who it is to it. */
async function serve(netnsPath: string, port: number, address = '0.0.0.0'): Promise<void> {
  const { fd } = inNetworkNamespace(netnsPath, () =>
    bindSocket('tcp', addressBytes(parseAddress(address)!), port, address),
  )
  const server = createServer((socket) => socket.end(`${socket.remoteAddress}`)).listen({ fd })
  servers.push(server)
  await once(server, 'listening')
}

async function textOf(socket: Socket): Promise<string> {
  let text = ''
  for await (const data of socket.setEncoding('utf8').setTimeout(5000, () => socket.destroy(new Error('timeout'))))
    text += data
  return text
}

const ask = (host: string, port: number): Promise<string> =>
  textOf(connect({ host, port })).catch((error) => {
    throw new Error(`${host}:${port}: ${error}`)
  })

async function askFrom(netnsPath: string, host: string, port: number): Promise<string> {
  const fd = inNetworkNamespace(netnsPath, () => beginConnection(addressBytes(parseAddress(host)!), port, host))
  const socket = new Socket({ fd, readable: true, writable: true })
  return textOf(socket)
}

const gateway = (name = 'bridge'): string => networks.get(name).ipam.Config[0]!.Gateway!

test('host and container reach each other, and containers one another', { skip }, async () => {
  const one = await start('one')
  const two = await start('two')
  await serve(one.netnsPath, 80)
  assert.equal(await ask(one.endpoint.ipAddress, 80), gateway())
  assert.equal(await askFrom(two.netnsPath, one.endpoint.ipAddress, 80), two.endpoint.ipAddress)
  const { fd } = bindSocket('tcp', addressBytes(parseAddress('0.0.0.0')!), 7000, 'host')
  const host = createServer((socket) => socket.end(`${socket.remoteAddress}`)).listen({ fd })
  servers.push(host)
  await once(host, 'listening')
  assert.equal(await askFrom(one.netnsPath, gateway(), 7000), one.endpoint.ipAddress)
})

test('an endpoint says what the namespace has', { skip }, async () => {
  const { endpoint, netnsPath } = await start('one', { macAddress: '02:42:AC:11:00:09' })
  assert.equal(endpoint.interfaceName, 'eth0')
  assert.equal(endpoint.macAddress, '02:42:ac:11:00:09')
  assert.equal(endpoint.gateway, gateway())
  const found = inNetworkNamespace(netnsPath, () => {
    using socket = new NetlinkSocket('NETLINK_ROUTE')
    return socket.dump(listLinks()).map(linkIn)
  })
  assert.deepEqual(found.map(({ name, up }) => [name, up]).sort(), [
    ['eth0', true],
    ['lo', true],
  ])
  assert.equal(found.find(({ name }) => name === 'eth0')!.mac, '02:42:ac:11:00:09')
  assert.deepEqual(networks.members(endpoint.networkId), [{ containerId: 'one', containerName: '/one', endpoint }])
})

test('a published port answers on every address of the host, on localhost and to neighbours', { skip }, async () => {
  const one = await start('one', publish('80/tcp', '8080'))
  const two = await start('two')
  await serve(one.netnsPath, 80)
  assert.deepEqual(one.endpoint.ports, {
    '80/tcp': [
      { HostIp: '0.0.0.0', HostPort: '8080' },
      { HostIp: '::', HostPort: '8080' },
    ],
  })
  for (const host of [gateway(), '127.0.0.1', '127.1.2.3', '::1']) assert.equal(await ask(host, 8080), gateway(), host)
  assert.equal(await askFrom(two.netnsPath, gateway(), 8080), gateway())
  assert.equal(await askFrom(one.netnsPath, gateway(), 8080), gateway(), 'a container reaches itself')
})

test('a port published on loopback alone is reached there alone', { skip }, async () => {
  const one = await start('one', publish('80/tcp', '8080', '127.0.0.1'))
  await serve(one.netnsPath, 80)
  assert.equal(await ask('127.0.0.1', 8080), gateway())
  await assert.rejects(ask(gateway(), 8080), /ECONNREFUSED/)
})

test("a container cannot reach the host's own loopback ports", { skip }, async () => {
  const one = await start('one')
  const { fd } = bindSocket('tcp', addressBytes(parseAddress('127.0.0.1')!), 7001, 'loopback')
  const host = createServer((socket) => socket.end('reached')).listen({ fd })
  servers.push(host)
  await once(host, 'listening')
  // A packet to 127.0.0.1 by way of the bridge, as a container that controls its routes can send it.
  const attempt = inNetworkNamespace(one.netnsPath, () => {
    using socket = new NetlinkSocket('NETLINK_ROUTE')
    const eth0 = socket
      .dump(listLinks())
      .map(linkIn)
      .find(({ name }) => name === 'eth0')!
    assert.ok(eth0.up)
    return beginConnection(addressBytes(parseAddress(gateway())!), 7001, 'gateway')
  })
  await wait(100)
  assert.throws(
    () => connectionState(attempt, 'gateway'),
    (error) => isErrno(error, 'ECONNREFUSED'),
  )
  new Socket({ fd: attempt }).destroy()
})

test('kernel rules go on leading published ports without the daemon', { skip }, async () => {
  const one = await start('one', publish('80/tcp', '8080'))
  await serve(one.netnsPath, 80)
  await networks.close()
  assert.equal(await ask('127.0.0.1', 8080), gateway())
  assert.equal(await ask(gateway(), 8080), gateway())
})

test('datagrams are led on, and answers come back from where they were asked', { skip }, async () => {
  const one = await start('one', publish('53/udp', '5353'))
  const { fd } = inNetworkNamespace(one.netnsPath, () =>
    bindSocket('udp', addressBytes(parseAddress('0.0.0.0')!), 53, 'inside'),
  )
  const server = createSocket('udp4')
  server.on('message', (data, { port, address }) => server.send(`${data} back`, port, address))
  server.bind({ fd })
  for (const [type, host] of [
    ['udp4', '127.0.0.1'],
    ['udp6', '::1'],
  ] as const) {
    const client = createSocket(type)
    client.connect(5353, host)
    await once(client, 'connect')
    client.send('there and')
    const [data] = await once(client, 'message', { signal: AbortSignal.timeout(5000) })
    assert.equal(String(data), 'there and back')
    client.close()
  }
  server.close()
})

test('a port of ours or of another process is refused, and nothing is left of the endpoint', { skip }, async () => {
  await start('one', publish('80/tcp', '8080'))
  const { fd } = bindSocket('tcp', addressBytes(parseAddress('0.0.0.0')!), 8081, 'other')
  const other = createServer().listen({ fd })
  servers.push(other)
  await once(other, 'listening')
  const before = links()
  const frame =
    /^failed to set up container networking: driver failed programming external connectivity on endpoint two \([0-9a-f]{64}\): /
  for (const [port, reason] of [
    ['8080', /: Bind for 0\.0\.0\.0:8080 failed: port is already allocated$/],
    ['8081', /: failed to bind host port for 0\.0\.0\.0:8081:172\.\d+\.0\.3:80\/tcp: address already in use$/],
  ] as const)
    await assert.rejects(
      start('two', publish('80/tcp', port)),
      (error) => isKind(error, 'internal') && frame.test(error.message) && reason.test(error.message),
    )
  assert.deepEqual(links(), before)
  assert.equal(networks.members(networks.get('bridge').id).length, 1)
  const { endpoint } = await start('two', publish('80/tcp', '8082'))
  assert.equal(endpoint.ports['80/tcp']![0]!.HostPort, '8082')
})

test('detach gives everything back, twice, and without the namespace', { skip }, async () => {
  const { endpoint } = await start('one', publish('80/tcp', '8080'))
  await networks.removeNamespace('one')
  await networks.detach('one', endpoint.networkId)
  await networks.detach('one')
  await networks.removeNamespace('one')
  assert.deepEqual(networks.endpoints(endpoint.networkId), [])
  assert.deepEqual(
    links().filter((name) => name.startsWith('veth')),
    [],
  )
  const again = await start('one', publish('80/tcp', '8080'))
  await serve(again.netnsPath, 80)
  assert.notEqual(again.endpoint.ipAddress, endpoint.ipAddress, 'an address rests before it comes back')
  assert.equal(await ask('127.0.0.1', 8080), gateway())
})

test('a restart of the daemon finds the living, and clears the dead away', { skip }, async () => {
  const one = await start('one', publish('80/tcp', '8080'))
  await start('two', publish('80/tcp', '8081'))
  await serve(one.netnsPath, 80)
  // As after kill -9: nobody has let go of anything but the sockets, and a link exists that no row knows.
  await networks.close()
  {
    using socket = new NetlinkSocket('NETLINK_ROUTE')
    socket.change(addBridge('stranger0'))
  }
  networks = open()
  await networks.recover(new Set(['one']))
  assert.deepEqual(
    networks.members(networks.get('bridge').id).map(({ containerId }) => containerId),
    ['one'],
  )
  assert.equal(links().filter((name) => name.startsWith('veth')).length, 1)
  assert.ok(links().includes('stranger0'), "another's link is left alone")
  {
    using socket = new NetlinkSocket('NETLINK_ROUTE')
    socket.change(deleteLink('stranger0'))
  }
  for (const host of ['127.0.0.1', '::1', gateway()]) assert.equal(await ask(host, 8080), gateway(), host)
  await assert.rejects(ask('127.0.0.1', 8081), /ECONNREFUSED/)
  await assert.rejects(start('three', publish('80/tcp', '8080')), /port is already allocated/)
})

test('recovery makes bridge and rules again after the machine has restarted', { skip }, async () => {
  const one = await start('one', publish('80/tcp', '8080'))
  const own = await networks.create({ name: 'web' })
  await networks.close()
  unshare(['network'])
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  socket.change(setLinkUp('lo', true))
  networks = open()
  await networks.recover(new Set())
  assert.deepEqual(networks.endpoints(one.endpoint.networkId), [])
  assert.ok(links().includes(`dd-${own.id.slice(0, 12)}`))
  const again = await start('one', publish('80/tcp', '8080'))
  await serve(again.netnsPath, 80)
  assert.equal(await ask('127.0.0.1', 8080), gateway())
})

test('networks of their own: apart from each other, internal ones without a way out', { skip }, async () => {
  const web = await networks.create({ name: 'web', labels: { a: 'b' } })
  const inner = await networks.create({ name: 'inner', internal: true })
  assert.equal(networks.get(web.id.slice(0, 10)).name, 'web')
  assert.deepEqual(networks.get('web'), web)
  await assert.rejects(networks.create({ name: 'web' }), /network with name web already exists/)
  const one = await start('one', { networkId: web.id, ...publish('80/tcp', '8080') })
  const two = await start('two')
  const three = await start('three', { networkId: inner.id, ...publish('80/tcp', '8083') })
  await serve(one.netnsPath, 80)
  assert.equal(await askFrom(two.netnsPath, gateway(), 8080), gateway('web'), 'by way of its published port')
  assert.equal(three.endpoint.gateway, '')
  assert.deepEqual(three.endpoint.ports, {})
  const attempt = inNetworkNamespace(two.netnsPath, () =>
    beginConnection(addressBytes(parseAddress(one.endpoint.ipAddress)!), 80, 'across'),
  )
  await wait(200)
  assert.equal(connectionState(attempt, 'across'), 'pending', 'packets from network to network are dropped')
  new Socket({ fd: attempt }).destroy()
  await assert.rejects(
    networks.remove('web'),
    (error) =>
      isKind(error, 'forbidden') &&
      /^error while removing network: network web has active endpoints \(name:"one" id:"[0-9a-f]{12}"\)$/.test(
        error.message,
      ),
  )
  await networks.detach('one')
  await networks.remove('web')
  assert.throws(() => networks.get('web'), /network web not found/)
  assert.ok(!links().includes(`dd-${web.id.slice(0, 12)}`))
})

test('a container on two networks keeps a default route when it leaves the first', { skip }, async () => {
  const web = await networks.create({ name: 'web' })
  const one = await start('one')
  const second = await networks.attach({
    networkId: web.id,
    containerId: 'one',
    containerName: '/one',
    netnsPath: one.netnsPath,
  })
  assert.equal(second.interfaceName, 'eth1')
  await serve(one.netnsPath, 80)
  await assert.rejects(
    networks.attach({ networkId: web.id, containerId: 'one', containerName: '/one', netnsPath: one.netnsPath }),
    /endpoint with name one already exists in network web/,
  )
  // An address of the host outside both networks: only a default route leads there.
  {
    using socket = new NetlinkSocket('NETLINK_ROUTE')
    socket.change(addAddress(1, Buffer.of(198, 51, 100, 1), 32))
  }
  const { fd } = bindSocket('tcp', Buffer.of(198, 51, 100, 1), 7002, 'outside')
  const outside = createServer((socket) => socket.end(`${socket.remoteAddress}`)).listen({ fd })
  servers.push(outside)
  await once(outside, 'listening')
  assert.equal(await askFrom(one.netnsPath, '198.51.100.1', 7002), one.endpoint.ipAddress)
  await networks.detach('one', one.endpoint.networkId)
  assert.equal(await askFrom(one.netnsPath, '198.51.100.1', 7002), second.ipAddress)
})

test('IPv6: address, route and published port', { skip }, async () => {
  const six = await networks.create({ name: 'six', enableIPv6: true })
  const one = await start('one', { networkId: six.id, ...publish('80/tcp', '8080') })
  await serve(one.netnsPath, 80, '::')
  assert.match(one.endpoint.ipv6Address, /^fd/)
  assert.match(await ask(one.endpoint.ipv6Address, 80), /^fd/)
  assert.match(await ask('::1', 8080), /^(fd|::1)/)
  const v6Gateway = six.ipam.Config[1]!.Gateway!
  assert.match(await ask(v6Gateway, 8080), /^fd/)
})

test('host and none have members and no kernel state', { skip }, async () => {
  for (const name of ['host', 'none']) {
    const { id } = networks.get(name)
    const endpoint = await networks.attach({
      networkId: id,
      containerId: 'one',
      containerName: '/one',
      netnsPath: '/proc/self/ns/net',
    })
    assert.equal(endpoint.ipAddress, '')
    assert.equal(networks.members(id).length, 1)
    await assert.rejects(networks.remove(name), { message: `${name} is a pre-defined network and cannot be removed` })
  }
  await networks.detach('one')
  assert.deepEqual(links(), ['lo'])
})

test('counters count, and dial reaches a port that only the container has', { skip }, async () => {
  const one = await start('one')
  await serve(one.netnsPath, 6000, '127.0.0.1')
  assert.equal(await textOf(await networks.dial(one.netnsPath, 6000)), '127.0.0.1')
  await assert.rejects(
    networks.dial(one.netnsPath, 6001),
    (error) => isKind(error, 'unavailable') && /ECONNREFUSED/.test(error.message),
  )
  await assert.rejects(networks.dial(join(root, 'none'), 1), (error) => isKind(error, 'unavailable'))
  await serve(one.netnsPath, 80)
  await ask(one.endpoint.ipAddress, 80)
  const counters = networks.counters(one.netnsPath)
  assert.deepEqual(Object.keys(counters), ['eth0'])
  assert.ok(counters.eth0!.rx_packets > 0 && counters.eth0!.tx_bytes > 0)
})

test('bad requests change nothing', { skip }, async () => {
  const netnsPath = await networks.createNamespace('one')
  const request = { networkId: networks.get('bridge').id, containerId: 'one', containerName: '/one', netnsPath }
  for (const [change, message] of [
    [{ macAddress: '02:zz:00:00:00:00' }, /invalid MAC address/],
    [{ macAddress: '01:00:5e:00:00:01' }, /invalid MAC address/],
    [{ ipv4Address: '192.0.2.1' }, /no configured subnet contains/],
    [{ ipv6Address: 'fd00::1' }, /has no IPv6 subnet/],
    [publish('80/tcp', '70000'), /invalid port specification/],
    [publish('80/tcp', '1', '192.0.2.9'), /cannot assign requested address/],
    [{ netnsPath: join(root, 'nowhere') }, /failed to set up container networking: .*ENOENT/],
    [{ netnsPath: '/proc/self/ns/uts' }, /failed to set up container networking/],
    [{ networkId: 'f'.repeat(64) }, /network f+ not found/],
  ] as const)
    await assert.rejects(networks.attach({ ...request, ...change }), (error) => message.test(String(error)))
  assert.deepEqual(networks.endpoints(request.networkId), [])
  assert.equal((await networks.attach(request)).ipAddress, gateway().replace(/1$/, '2'))
})

test('the default subnet moves out of the way of a route that has come up', { skip }, async () => {
  const before = networks.get('bridge').ipam.Config[0]!.Subnet
  const [a, b] = before!.split('.').map(Number)
  {
    using socket = new NetlinkSocket('NETLINK_ROUTE')
    socket.change(addBridge('vpn0'))
    const { index } = socket
      .dump(listLinks())
      .map(linkIn)
      .find(({ name }) => name === 'vpn0')!
    socket.change(addAddress(index, Buffer.of(a!, b!, 7, 1), 24))
    socket.change(setLinkUp(index, true))
  }
  const { endpoint } = await start('one')
  assert.notEqual(networks.get('bridge').ipam.Config[0]!.Subnet, before)
  assert.equal(endpoint.gateway, gateway())
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  socket.change(deleteLink('vpn0'))
})

test('two engines side by side keep out of each other', { skip }, async () => {
  const otherRoot = mkdtempSync(join(tmpdir(), 'networks-other-'))
  using otherDatabase = new Database(':memory:', [networkSchema])
  const other = new ContainerNetworks({ database: otherDatabase, execRoot: otherRoot, instance: otherRoot })
  try {
    const one = await start('one', publish('80/tcp', '8080'))
    await serve(one.netnsPath, 80)
    const netnsPath = await other.createNamespace('two')
    const request = { networkId: other.get('bridge').id, containerId: 'two', containerName: '/two', netnsPath }
    await assert.rejects(other.attach({ ...request, ...publish('80/tcp', '8080') }), /address already in use/)
    const endpoint = await other.attach({ ...request, ...publish('80/tcp', '8081') })
    assert.notEqual(endpoint.gateway, one.endpoint.gateway)
    await serve(netnsPath, 80)
    assert.equal(await ask('127.0.0.1', 8081), endpoint.gateway)
    await other.destroy()
    assert.equal(await ask('127.0.0.1', 8080), gateway())
  } finally {
    await other.destroy()
    rmSync(otherRoot, { recursive: true })
  }
})
