/** Networks and endpoints, judged by what their namespaces can reach. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { closeSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { addressBytes, parseAddress } from '../../engine/base/address.ts'
import { Database } from '../../engine/base/database.ts'
import { isKind } from '../../engine/base/errors.ts'
import { inNetworkNamespace, unshare } from '../../engine/kernel/namespaces.ffi.ts'
import { NetlinkSocket } from '../../engine/kernel/netlink-socket.ffi.ts'
import { beginConnection, bindSocket, connectionState } from '../../engine/kernel/network-socket.ffi.ts'
import { addAddress, addBridge, deleteLink, linkIn, listLinks, setLinkUp } from '../../engine/kernel/route-messages.ts'
import { ContainerNetworks } from '../../engine/network/container-networks.ts'
import { networkSchema } from '../../engine/network/network-schema.ts'
import {
  ask,
  askFrom,
  gateway,
  links,
  networks,
  publish,
  reopen,
  root,
  serve,
  servers,
  skip,
  start,
  textOf,
} from './network-bed.ts'

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
  reopen()
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
  reopen()
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
  closeSync(attempt)
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

test('a network on its way out takes nobody in, and goes once', { skip }, async () => {
  const { id } = await networks.create({ name: 'web' })
  const gone = networks.remove('web')
  const netnsPath = await networks.createNamespace('one')
  const request = { networkId: id, containerId: 'one', containerName: '/one', netnsPath }
  await assert.rejects(networks.attach(request), /network web not found/)
  await assert.rejects(networks.remove('web'), /network web not found/)
  await gone
  assert.throws(() => networks.get('web'), /network web not found/)
})

test('host and none have endpoints and no kernel state', { skip }, async () => {
  for (const name of ['host', 'none']) {
    const { id } = networks.get(name)
    const endpoint = await networks.attach({
      networkId: id,
      containerId: 'one',
      containerName: '/one',
      netnsPath: '/proc/self/ns/net',
    })
    assert.equal(endpoint.ipAddress, '')
    assert.deepEqual(networks.members(id), [])
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
    (error) => isKind(error, 'conflict') && /ECONNREFUSED/.test(error.message),
  )
  await assert.rejects(networks.dial(join(root, 'none'), 1), (error) => isKind(error, 'conflict'))
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
