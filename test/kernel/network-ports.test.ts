/** Published ports: who reaches them, from where, and who is refused one. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { closeSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { addressBytes, parseAddress } from '../../engine/base/address.ts'
import { isKind } from '../../engine/base/errors.ts'
import { inNetworkNamespace } from '../../engine/kernel/namespaces.ffi.ts'
import { NetlinkSocket } from '../../engine/kernel/netlink-socket.ffi.ts'
import { beginConnection, bindSocket, connectionState } from '../../engine/kernel/network-socket.ffi.ts'
import { deleteTable, transaction } from '../../engine/kernel/nftables.ts'
import { addAddress, addRoute } from '../../engine/kernel/route-messages.ts'
import { instanceNames } from '../../engine/network/instance-names.ts'
import { ask, askFrom, gateway, links, networks, publish, root, serve, servers, skip, start } from './network-bed.ts'

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
  const host = createServer((socket) => socket.on('error', () => undefined).end('reached')).listen({ fd })
  servers.push(host)
  await once(host, 'listening')
  // A container that may change its own routes can send packets for 127.0.0.1 to the bridge.
  const attempt = (): number =>
    inNetworkNamespace(one.netnsPath, () => beginConnection(Buffer.of(127, 0, 0, 1), 7001, 'loopback'))
  inNetworkNamespace(one.netnsPath, () => {
    using socket = new NetlinkSocket('NETLINK_ROUTE')
    const RTM_DELADDR = 21
    socket.change({ ...addAddress(1, Buffer.of(127, 0, 0, 1), 8), type: RTM_DELADDR, flags: 0 })
    writeFileSync('/proc/sys/net/ipv4/conf/eth0/route_localnet', '1')
    const destination = { address: Buffer.of(127, 0, 0, 0), prefixLength: 8 }
    socket.change(addRoute({ destination, gateway: addressBytes(parseAddress(gateway())!) }))
  })
  const refused = attempt()
  await wait(200)
  assert.equal(connectionState(refused, 'loopback'), 'pending', 'its packets are dropped')
  closeSync(refused)
  using rules = new NetlinkSocket('NETLINK_NETFILTER')
  rules.batch(transaction([deleteTable(instanceNames(root).table)]))
  const control = attempt()
  await wait(200)
  assert.equal(connectionState(control, 'loopback'), 'connected', 'it is the rules that drop them')
  closeSync(control)
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
