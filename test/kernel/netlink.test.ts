/** Messages of our own making, judged by the kernel: in a network namespace of this process. */
import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import { test } from 'node:test'
import { parseSubnet } from '../../engine/base/address.ts'
import { isErrno } from '../../engine/kernel/libc.ffi.ts'
import {
  inNetworkNamespace,
  namespacePath,
  openNamespace,
  setNamespace,
  unshare,
} from '../../engine/kernel/namespaces.ffi.ts'
import { NetlinkSocket } from '../../engine/kernel/netlink-socket.ffi.ts'
import {
  addChain,
  addElements,
  addMap,
  addRule,
  addTable,
  concatenation,
  deleteElements,
  deleteTable,
  probeTable,
  transaction,
} from '../../engine/kernel/nftables.ts'
import { interfaceIs, verdict } from '../../engine/kernel/nftables-expressions.ts'
import * as route from '../../engine/kernel/route-messages.ts'
import { tableRequests } from '../../engine/network/firewall.ts'
import { noPacketFilter } from './packet-filter.ts'

const skip = process.getuid?.() !== 0 && 'needs root'
if (skip === false) unshare(['network'])

const find = (socket: NetlinkSocket, name: string): route.Link | undefined =>
  socket
    .dump(route.listLinks())
    .map(route.linkIn)
    .find((link) => link.name === name)

test('a bridge with an address makes a route', { skip }, () => {
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  socket.change(route.addBridge('br0', { mac: '02:00:00:00:00:01', mtu: 1400 }))
  const bridge = find(socket, 'br0')!
  assert.equal(bridge.kind, 'bridge')
  assert.equal(bridge.mac, '02:00:00:00:00:01')
  assert.equal(bridge.mtu, 1400)
  socket.change(route.addAddress(bridge.index, Buffer.of(10, 5, 0, 1), 24))
  socket.change(route.setLinkUp('br0', true))
  assert.equal(find(socket, 'br0')!.up, true)
  const routes = socket.dump(route.listRoutes(4)).map(route.routeIn)
  const own = routes.find(({ main, link }) => main && link === bridge.index)!
  assert.deepEqual([[...own.destination], own.prefixLength], [[10, 5, 0, 0], 24])
  const addresses = socket.dump(route.listAddresses()).map(route.addressIn)
  assert.ok(addresses.some(({ index, address }) => index === bridge.index && address.equals(Buffer.of(10, 5, 0, 1))))
  socket.change(route.deleteLink('br0'))
  assert.equal(find(socket, 'br0'), undefined)
})

test('a pair of links lands in two namespaces with one message', { skip }, () => {
  using cleanup = new DisposableStack()
  const home = cleanup.adopt(openNamespace('thread-self', 'network'), closeSync)
  unshare(['network'])
  const other = cleanup.adopt(openNamespace('thread-self', 'network'), closeSync)
  setNamespace(home, ['network'])
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  socket.change(route.addBridge('br1'))
  const { index } = find(socket, 'br1')!
  const peer = { name: 'eth0', namespace: other, mac: '02:00:00:00:00:02' }
  socket.change(route.addVeth({ name: 'near0', master: index, peer }))
  const near = find(socket, 'near0')!
  assert.deepEqual([near.kind, near.master, near.up], ['veth', index, true])
  inNetworkNamespace(`/proc/self/fd/${other}`, () => {
    using inside = new NetlinkSocket('NETLINK_ROUTE')
    const far = find(inside, 'eth0')!
    assert.deepEqual([far.mac, far.up], ['02:00:00:00:00:02', false])
    inside.change(route.setLinkOptions('eth0', { mtu: 1300 }))
    inside.change(route.renameLink(far.index, 'net0'))
    assert.equal(find(inside, 'net0')!.mtu, 1300)
  })
  socket.change(route.setLinkMaster('near0', 0))
  assert.equal(find(socket, 'near0')!.master, 0)
  socket.change(route.deleteLink('near0'))
  socket.change(route.deleteLink('br1'))
})

test('a refusal names what was tried, and carries the errno', { skip }, () => {
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  assert.throws(
    () => socket.change(route.deleteLink('nothing0')),
    (error) => isErrno(error, 'ENODEV') && /netlink delete link nothing0/.test(String(error)),
  )
  socket.change(route.addBridge('br2'))
  assert.throws(
    () => socket.change(route.addBridge('br2')),
    (error) => isErrno(error, 'EEXIST'),
  )
  assert.throws(
    () => socket.change(route.addRoute({ gateway: Buffer.of(10, 77, 0, 1) })),
    (error) => /Nexthop has invalid gateway/.test(String(error)),
    "with the kernel's own sentence",
  )
  socket.change(route.deleteLink('br2'))
})

test('a change on another thread is done when its promise settles, and fails like any other', { skip }, async () => {
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  socket.change(route.addBridge('br3'))
  await socket.changeElsewhere(route.deleteLink('br3'))
  assert.equal(find(socket, 'br3'), undefined)
  await assert.rejects(socket.changeElsewhere(route.deleteLink('br3')), (error) => isErrno(error, 'ENODEV'))
})

test('two hundred links are listed whole', { skip }, () => {
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  const names = Array.from({ length: 200 }, (_, index) => `many${index}`)
  for (const name of names) socket.change(route.addBridge(name))
  const found = new Set(socket.dump(route.listLinks()).map((body) => route.linkIn(body).name))
  for (const name of names) assert.ok(found.has(name), name)
})

test('inNetworkNamespace comes back, also when the work fails', { skip }, () => {
  using cleanup = new DisposableStack()
  const home = cleanup.adopt(openNamespace('thread-self', 'network'), closeSync)
  using before = new NetlinkSocket('NETLINK_ROUTE')
  before.change(route.addBridge('mark0'))
  unshare(['network'])
  const other = cleanup.adopt(openNamespace('thread-self', 'network'), closeSync)
  setNamespace(home, ['network'])
  const here = (): boolean => {
    using socket = new NetlinkSocket('NETLINK_ROUTE')
    return find(socket, 'mark0') !== undefined
  }
  assert.equal(inNetworkNamespace(`/proc/self/fd/${other}`, here), false)
  assert.equal(here(), true)
  assert.throws(() =>
    inNetworkNamespace(`/proc/self/fd/${other}`, () => {
      throw new Error('no')
    }),
  )
  assert.equal(here(), true)
  assert.throws(
    () => inNetworkNamespace('/proc/self/ns/mnt', here),
    (error) => isErrno(error, 'EINVAL'),
  )
  assert.throws(
    () => inNetworkNamespace('/no/such/namespace', here),
    (error) => isErrno(error, 'ENOENT'),
  )
  assert.equal(here(), true)
  assert.match(namespacePath(1, 'mount'), /^\/proc\/1\/ns\/mnt$/)
})

test('nf_tables: a batch happens whole or not at all', { skip: noPacketFilter }, () => {
  using socket = new NetlinkSocket('NETLINK_NETFILTER')
  const chain = { table: 't1', name: 'c', type: 'filter', hook: 'forward', priority: 0 } as const
  socket.batch(
    transaction([
      addTable('t1'),
      addChain(chain),
      addRule('t1', 'c', [...interfaceIs('iifname', 'is', 'x'), verdict('drop')]),
    ]),
  )
  socket.change(probeTable('t1'))
  assert.throws(
    () => socket.batch(transaction([addTable('t2'), deleteTable('missing')])),
    (error) => isErrno(error, 'ENOENT') && /delete table missing/.test(String(error)),
  )
  assert.throws(
    () => socket.change(probeTable('t2')),
    (error) => isErrno(error, 'ENOENT'),
  )
  socket.batch(transaction([deleteTable('t1')]))
})

test('nf_tables: elements of a map come and go', { skip: noPacketFilter }, () => {
  using socket = new NetlinkSocket('NETLINK_NETFILTER')
  const key = (port: number): Buffer => concatenation(Buffer.of(6), Buffer.of(port >> 8, port & 255))
  const data = concatenation(Buffer.of(10, 0, 0, 2), Buffer.of(0, 80))
  const map = {
    table: 't3',
    name: 'm',
    key: ['inet_proto', 'inet_service'],
    data: ['ipv4_addr', 'inet_service'],
  } as const
  const elements = Array.from({ length: 1000 }, (_, index) => ({ key: key(index), data }))
  socket.batch(transaction([addTable('t3'), addMap(map, 1), ...addElements('t3', 'm', elements)]))
  socket.batch(transaction(deleteElements('t3', 'm', [key(999)])))
  assert.throws(
    () => socket.batch(transaction(deleteElements('t3', 'm', [key(999)]))),
    (error) => isErrno(error, 'ENOENT'),
  )
  socket.batch(transaction([deleteTable('t3')]))
})

test("the engine's whole table is taken, twice in a row, with and without IPv6", { skip: noPacketFilter }, () => {
  using socket = new NetlinkSocket('NETLINK_NETFILTER')
  const network = (bridge: string, internal: boolean, ...subnets: string[]) => ({
    bridge,
    internal,
    masquerade: true,
    icc: bridge === 'b0',
    modes: { 4: 'routed', 6: bridge === 'b0' ? 'nat' : 'nat-unprotected' } as const,
    subnets: subnets.map(parseSubnet),
  })
  const networks = [network('b0', false, '10.1.0.0/16', 'fd00::/64'), network('b1', true, '10.2.0.0/20')]
  const ports = (['0.0.0.0', '127.0.0.1', '::', '::1'] as const).map((hostAddress) => ({
    protocol: 'tcp' as const,
    hostAddress,
    hostPort: 8080,
    address: hostAddress.includes(':') ? 'fd00::2' : '10.1.0.2',
    port: 80,
  }))
  const routed = { ...ports[0]!, routed: true }
  for (const guardsRouting of [true, false]) {
    const state = { networks, ports: [...ports, routed], guardsRouting }
    socket.batch(transaction(tableRequests('t4', state)))
  }
  socket.batch(transaction([deleteTable('t4')]))
})
