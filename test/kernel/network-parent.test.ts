/** Networks on a link of the machine: macvlan here, ipvlan and VLANs where the kernel has them. */
import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import { test } from 'node:test'
import { isKind } from '../../engine/base/errors.ts'
import { isErrno } from '../../engine/kernel/libc.ffi.ts'
import { inNetworkNamespace, openNamespace, unshare } from '../../engine/kernel/namespaces.ffi.ts'
import { NetlinkSocket } from '../../engine/kernel/netlink-socket.ffi.ts'
import { addVeth, deleteLink, linkIn, listLinks, setLinkUp } from '../../engine/kernel/route-messages.ts'
import { addStackedLink, type StackedKind } from '../../engine/kernel/stacked-links.ts'
import { askFrom, links, needsRoot, networks, serve, start } from './network-bed.ts'

/** Where a machine has its network card: one end of a pair, the other is the wire. */
function card(): Disposable {
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  const namespace = openNamespace('thread-self', 'network')
  socket.change(addVeth({ name: 'wire0', peer: { name: 'card0', namespace } }))
  closeSync(namespace)
  socket.change(setLinkUp('card0', true))
  return {
    [Symbol.dispose]: () => {
      using again = new NetlinkSocket('NETLINK_ROUTE')
      again.change(deleteLink('wire0'))
    },
  }
}

/** A reason to skip, or false. */
function lacks(kind: StackedKind): string | false {
  if (needsRoot !== false) return needsRoot
  unshare(['network'])
  // Not on the loopback: it carries no VLANs, whatever the kernel has.
  using _card = card()
  using socket = new NetlinkSocket('NETLINK_ROUTE')
  const parent = socket
    .dump(listLinks())
    .map(linkIn)
    .find(({ name }) => name === 'card0')!.index
  try {
    socket.change(addStackedLink({ name: 'probe0', parent, kind }))
    socket.change(deleteLink('probe0'))
    return false
  } catch (error) {
    return isErrno(error, 'ENOTSUP') ? `the kernel has no ${kind.type} links` : false
  }
}
const noMacvlan = lacks({ type: 'macvlan', mode: 'bridge' })
const noIpvlan = lacks({ type: 'ipvlan', mode: 'l2', flag: 'bridge' })
const noVlan = lacks({ type: 'vlan', number: 7 })

const ipam = { Config: [{ Subnet: '10.9.0.0/24' }, { Subnet: '10.9.1.0/24' }] }

test('macvlan: containers reach each other, with addresses of several subnets', { skip: noMacvlan }, async () => {
  using _card = card()
  const { id } = await networks.create({ name: 'lan', driver: 'macvlan', options: { parent: 'card0' }, ipam })
  const one = await start('one', { networkId: id, macAddress: '02:00:00:00:00:11' })
  const two = await start('two', { networkId: id })
  const three = await start('three', { networkId: id, ipv4Address: '10.9.1.7' })
  assert.deepEqual(
    [one, two, three].map(({ endpoint }) => [endpoint.ipAddress, endpoint.gateway]),
    [
      ['10.9.0.2', '10.9.0.1'],
      ['10.9.0.3', '10.9.0.1'],
      ['10.9.1.7', '10.9.1.1'],
    ],
  )
  await serve(one.netnsPath, 80)
  assert.equal(await askFrom(two.netnsPath, '10.9.0.2', 80), '10.9.0.3')
  const inside = inNetworkNamespace(one.netnsPath, () => {
    using socket = new NetlinkSocket('NETLINK_ROUTE')
    return socket.dump(listLinks()).map(linkIn)
  })
  const eth0 = inside.find(({ name }) => name === 'eth0')!
  assert.deepEqual([eth0.kind, eth0.mac], ['macvlan', '02:00:00:00:00:11'])
  await networks.detach('two', id)
  const left = inNetworkNamespace(two.netnsPath, links)
  assert.deepEqual(left, ['lo'], 'the interface of a container that goes on is gone')
  await assert.rejects(networks.create({ name: 'lan2', driver: 'macvlan', options: { parent: 'card0' } }), {
    message: 'network lan is already using parent interface card0',
  })
  await assert.rejects(
    networks.create({ name: 'lan3', driver: 'macvlan', options: { parent: 'nocard' } }),
    (error) => isKind(error, 'invalid') && /nocard was not found/.test(error.message),
  )
  assert.equal(networks.list().length, 4, 'and nothing is left of them')
})

test('a network whose link is gone keeps no daemon from its start', { skip: noMacvlan }, async () => {
  {
    using _card = card()
    await networks.create({ name: 'lan', driver: 'macvlan', options: { parent: 'card0' }, ipam })
  }
  const problems = await networks.recover(new Set())
  assert.equal(problems.length, 1)
  assert.match(problems[0] as string, /^network lan is not ready: .*card0/)
})

test('ipvlan: refused by name on a kernel without it', {
  skip: needsRoot || (noIpvlan === false && 'the kernel has it'),
}, async () => {
  using _card = card()
  const { id } = await networks.create({ name: 'lan', driver: 'ipvlan', options: { parent: 'card0' } })
  await assert.rejects(start('one', { networkId: id }), { message: 'the kernel of this machine has no ipvlan links' })
  assert.deepEqual(networks.endpoints(id), [])
})

for (const mode of ['l2', 'l3'])
  test(`ipvlan ${mode}: containers reach each other`, { skip: noIpvlan }, async () => {
    using _card = card()
    const options = { parent: 'card0', ipvlan_mode: mode }
    const { id } = await networks.create({ name: 'lan', driver: 'ipvlan', options, ipam })
    const one = await start('one', { networkId: id })
    const two = await start('two', { networkId: id, ipv4Address: mode === 'l3' ? '10.9.1.7' : '10.9.0.9' })
    assert.deepEqual([one.endpoint.macAddress, one.endpoint.gateway], ['', mode === 'l3' ? '' : '10.9.0.1'])
    await serve(one.netnsPath, 80)
    assert.equal(await askFrom(two.netnsPath, '10.9.0.2', 80), two.endpoint.ipAddress)
  })

test('a VLAN that is not there is made, and goes with the network', { skip: noVlan || noMacvlan }, async () => {
  using _card = card()
  const { id } = await networks.create({ name: 'lan', driver: 'macvlan', options: { parent: 'card0.7' } })
  assert.ok(links().includes('card0.7'))
  await networks.remove(id)
  assert.ok(!links().includes('card0.7'))
})
