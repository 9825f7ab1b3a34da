/** What a machine beside the engine's can reach, by its routes to the containers' subnets; and rules that others take away. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { addressBytes, parseAddress } from '../../engine/base/address.ts'
import { isErrno } from '../../engine/kernel/libc.ffi.ts'
import { inNetworkNamespace } from '../../engine/kernel/namespaces.ffi.ts'
import { NetlinkSocket } from '../../engine/kernel/netlink-socket.ffi.ts'
import { beginConnection, bindSocket, connectionState } from '../../engine/kernel/network-socket.ffi.ts'
import { deleteTable, transaction } from '../../engine/kernel/nftables.ts'
import {
  addAddress,
  addRoute,
  addVeth,
  deleteLink,
  linkIn,
  queryLink,
  setLinkUp,
} from '../../engine/kernel/route-messages.ts'
import { instanceNames } from '../../engine/network/instance-names.ts'
import { ask, askFrom, gateway, networks, publish, reopen, root, serve, skip, start, textOf } from './network-bed.ts'

const machine = '198.51.100.1'
const neighbour = '198.51.100.2'

const noNft = spawnSync('nft', ['--version']).status === 0 ? false : 'needs nft'

/** Another machine on a wire of its own, whose way to everything is this one. */
async function outside(): Promise<{ netnsPath: string } & AsyncDisposable> {
  const netnsPath = await networks.createNamespace('outside')
  const namespace = openSync(netnsPath, 'r')
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  socket.change(addVeth({ name: 'wire0', peer: { name: 'eth0', namespace } }))
  closeSync(namespace)
  const index = linkIn(socket.ask(queryLink('wire0'))[0]!).index
  socket.change(addAddress(index, addressBytes(parseAddress(machine)!), 24))
  inNetworkNamespace(netnsPath, () => {
    using inside = new NetlinkSocket('NETLINK_ROUTE')
    const link = linkIn(inside.ask(queryLink('eth0'))[0]!).index
    inside.change(addAddress(link, addressBytes(parseAddress(neighbour)!), 24))
    inside.change(setLinkUp(link, true))
    inside.change(addRoute({ gateway: addressBytes(parseAddress(machine)!), link }))
  })
  return {
    netnsPath,
    [Symbol.asyncDispose]: async () => {
      using again = new NetlinkSocket('NETLINK_ROUTE')
      again.change(deleteLink('wire0'))
      await networks.removeNamespace('outside')
    },
  }
}

/** Whether packets get an answer at all within some time: dropped ones do not. */
async function reaches(netnsPath: string, host: string, port: number): Promise<boolean> {
  let fd: number | undefined
  try {
    fd = inNetworkNamespace(netnsPath, () => beginConnection(addressBytes(parseAddress(host)!), port, host))
    for (let round = 0; round < 10; round += 1) {
      if (connectionState(fd, host) === 'connected') return true
      await wait(20)
    }
    return false
  } catch (error) {
    if (isErrno(error, 'ENETUNREACH', 'EHOSTUNREACH', 'ECONNREFUSED')) return false
    throw error
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

test('from outside only published ports are reached, and the container sees who asks', { skip }, async () => {
  const one = await start('one', publish('80/tcp', '8080'))
  await serve(one.netnsPath, 80)
  await serve(one.netnsPath, 81)
  await using other = await outside()
  assert.equal(await askFrom(other.netnsPath, machine, 8080), neighbour)
  for (const port of [80, 81])
    assert.equal(await reaches(other.netnsPath, one.endpoint.ipAddress, port), false, `${port}`)
  assert.equal(await ask(one.endpoint.ipAddress, 81), gateway(), 'the machine itself reaches all of them')
})

test('gateway modes: routed opens published ports by their own address, nat-unprotected every port', {
  skip,
}, async () => {
  const mode = (text: string) => ({ options: { 'com.docker.network.bridge.gateway_mode_ipv4': text } })
  const routed = await networks.create({ name: 'routed', ...mode('routed') })
  const open = await networks.create({ name: 'open', ...mode('nat-unprotected') })
  const one = await start('one', { networkId: routed.id, ...publish('80/tcp', '8080', '0.0.0.0') })
  const two = await start('two', { networkId: open.id, ...publish('80/tcp', '8081') })
  assert.deepEqual(one.endpoint.ports, { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '' }] })
  for (const { netnsPath } of [one, two]) for (const port of [80, 81]) await serve(netnsPath, port)
  await using other = await outside()
  for (const { endpoint } of [one, two]) assert.equal(await askFrom(other.netnsPath, endpoint.ipAddress, 80), neighbour)
  assert.equal(await reaches(other.netnsPath, one.endpoint.ipAddress, 81), false)
  assert.equal(await askFrom(other.netnsPath, two.endpoint.ipAddress, 81), neighbour)
  await assert.rejects(askFrom(other.netnsPath, machine, 8080), /ECONNREFUSED/, 'nothing is translated')
  await assert.rejects(
    networks.create({ name: 'shut', ...mode('isolated') }),
    /can only be used for an internal network/,
  )
  const shut = await networks.create({ name: 'shut', internal: true, ...mode('isolated') })
  const three = await start('three', { networkId: shut.id })
  await serve(three.netnsPath, 80)
  assert.equal(await reaches(one.netnsPath, three.endpoint.ipAddress, 80), false)
  await assert.rejects(ask(three.endpoint.ipAddress, 80), /ENETUNREACH|EHOSTUNREACH|timeout/, 'not even the machine')
})

test('containers of a network without communication reach the machine, and not each other', { skip }, async () => {
  const { id } = await networks.create({
    name: 'apart',
    options: { 'com.docker.network.bridge.enable_icc': 'false' },
  })
  const one = await start('one', { networkId: id, ...publish('80/tcp', '8080') })
  const two = await start('two', { networkId: id })
  await serve(one.netnsPath, 80)
  assert.equal(await reaches(two.netnsPath, one.endpoint.ipAddress, 80), false)
  assert.equal(await askFrom(two.netnsPath, gateway('apart'), 8080), gateway('apart'), 'by the published port they do')
  assert.equal(await ask(one.endpoint.ipAddress, 80), gateway('apart'))
})

test('a port without an address is bound where the network says', { skip }, async () => {
  const { id } = await networks.create({
    name: 'local',
    options: { 'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1' },
  })
  const { endpoint } = await start('one', { networkId: id, ...publish('80/tcp', '8080') })
  assert.deepEqual(endpoint.ports, { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8080' }] })
})

test('rules that somebody else flushes are put back', { skip }, async () => {
  const one = await start('one', publish('80/tcp', '8080'))
  await serve(one.netnsPath, 80)
  using foreign = new NetlinkSocket('NETLINK_NETFILTER')
  foreign.batch(transaction([deleteTable(instanceNames(root).table)]))
  await using other = await outside()
  // Until then the port's own socket leads on what comes, and the container does not see who asks.
  for (let round = 0; (await askFrom(other.netnsPath, machine, 8080)) !== neighbour; round += 1) {
    assert.ok(round < 100, 'in time')
    await wait(50)
  }
  assert.equal(await reaches(other.netnsPath, one.endpoint.ipAddress, 81), false)
})

test('ports and routes follow the network with the highest priority', { skip }, async () => {
  const web = await networks.create({ name: 'web' })
  const inner = await networks.create({ name: 'inner', internal: true })
  const first = await start('one', { networkId: inner.id, ...publish('80/tcp', '8080'), ...publish('81/tcp', '') })
  const wanted = { ports: { '80/tcp': [{ HostIp: '', HostPort: '' }] } }
  const common = { containerId: 'one', containerName: '/one', netnsPath: first.netnsPath, ...wanted }
  assert.deepEqual(first.endpoint.ports, {}, 'an internal network publishes nothing')
  await networks.detach('one')
  await serve(first.netnsPath, 80)
  await networks.attach({ networkId: web.id, ...common })
  const port = Number(networks.endpointsOf('one')[0]!.ports['80/tcp']![0]!.HostPort)
  assert.equal(await ask('127.0.0.1', port), gateway('web'))
  await networks.attach({ networkId: networks.get('bridge').id, gwPriority: 1, ...common })
  assert.equal(await ask('127.0.0.1', port), gateway(), 'the same port, by another way')
  const other = await start('two')
  assert.equal(await askFrom(other.netnsPath, gateway(), port), gateway())
  await networks.detach('one', networks.get('bridge').id)
  assert.equal(await ask('127.0.0.1', port), gateway('web'))
  await networks.close()
  reopen()
  await networks.recover(new Set(['one', 'two']))
  assert.equal(await ask('::1', port), gateway('web'))
})

test('a foreign firewall that drops what is forwarded is told of, and left alone', {
  skip: skip || noNft,
}, async () => {
  const nft = (...words: string[]): string => {
    const { status, stdout, stderr } = spawnSync('nft', words, { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    return stdout
  }
  assert.deepEqual(networks.obstacles(), [])
  nft('add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }')
  const before = nft('list', 'table', 'ip', 'filter')
  const [obstacle, ...others] = networks.obstacles()
  assert.match(obstacle!, /FORWARD chain drops IPv4/)
  assert.deepEqual(others, [])
  await start('one', publish('80/tcp', '8080'))
  await networks.destroy()
  assert.equal(nft('list', 'table', 'ip', 'filter'), before)
  nft('add chain ip filter FORWARD { type filter hook forward priority 0; policy accept; }')
  assert.deepEqual(networks.obstacles(), [])
})

test('forwarding is switched on, and off again where it was off and nobody else needs it', { skip }, async () => {
  const path = '/proc/sys/net/ipv4/ip_forward'
  writeFileSync(path, '0')
  await start('one')
  assert.equal(readFileSync(path, 'utf8').trim(), '1')
  await networks.destroy()
  assert.equal(readFileSync(path, 'utf8').trim(), '0')
  writeFileSync(path, '1')
  reopen()
  await start('one')
  await networks.destroy()
  assert.equal(readFileSync(path, 'utf8').trim(), '1')
})

test('datagrams that never pause reach the container that comes, and the one after it, by way of the kernel', {
  skip,
}, async () => {
  await using other = await outside()
  const { fd } = inNetworkNamespace(other.netnsPath, () => bindSocket('udp', Buffer.alloc(4), 0, 'client'))
  const client = createSocket('udp4').on('error', () => undefined)
  client.bind({ fd })
  const timer = setInterval(() => client.send('anyone?', 5353, machine), 10)
  // Another connection that is tracked, and stays.
  const bystander = await start('bystander', publish('80/tcp', '8090'))
  await serve(bystander.netnsPath, 80)
  const kept = await begun(other.netnsPath, machine, 8090)
  try {
    await wait(100)
    for (const name of ['one', 'two']) {
      const { netnsPath } = await start(name, publish('53/udp', '5353'))
      const bound = inNetworkNamespace(netnsPath, () => bindSocket('udp', Buffer.alloc(4), 53, name))
      const server = createSocket('udp4')
      server.bind({ fd: bound.fd })
      const heard = once(server, 'message', { signal: AbortSignal.timeout(3000) }).finally(() => server.close())
      const [, from] = await heard
      assert.equal(from.address, neighbour, 'and not through the socket that holds the port')
      await networks.detach(name)
      await networks.removeNamespace(name)
    }
    assert.equal(await textOf(kept), neighbour, 'what has nothing to do with it is not forgotten')
  } finally {
    clearInterval(timer)
    client.close()
    kept.destroy()
  }
})

/** A connection whose answer nobody has read yet. */
async function begun(netnsPath: string, host: string, port: number): Promise<Socket> {
  const fd = inNetworkNamespace(netnsPath, () => beginConnection(addressBytes(parseAddress(host)!), port, host))
  for (let round = 0; connectionState(fd, host) === 'pending'; round += 1) {
    assert.ok(round < 200)
    await wait(20)
  }
  return new Socket({ fd, readable: true, writable: true })
}
