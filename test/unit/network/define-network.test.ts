import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAddress, parseSubnet } from '../../../engine/base/address.ts'
import { type ErrorKind, isKind } from '../../../engine/base/errors.ts'
import { defineNetwork, predefinedNetworks } from '../../../engine/network/define-network.ts'
import { instanceNames, randomMac } from '../../../engine/network/instance-names.ts'
import type { CreateNetwork } from '../../../engine/network/network.ts'
import { leaseAddress, spaceOf } from '../../../engine/network/network-plan.ts'

const others = [parseSubnet('172.17.0.0/16')]
const define = (request: Partial<CreateNetwork>) => defineNetwork({ name: 'web', ...request }, others, others)

test('a network that asks for nothing gets a subnet, a gateway and a bridge', () => {
  const network = define({})
  assert.deepEqual(network.ipam.Config, [{ Subnet: '172.18.0.0/16', Gateway: '172.18.0.1' }])
  assert.equal(network.bridge, `dd-${network.id.slice(0, 12)}`)
  assert.equal(network.driver, 'bridge')
  assert.deepEqual([network.enableIPv4, network.enableIPv6, network.internal], [true, false, false])
})

test('IPv6 without a subnet gets a unique local one', () => {
  const [, v6] = define({ enableIPv6: true }).ipam.Config
  assert.match(v6!.Subnet!, /^fd[0-9a-f]{2}:[0-9a-f:]+::\/64$/)
  assert.equal(v6!.Gateway, `${v6!.Subnet!.replace(/::\/64$/, '')}::1`)
})

const config = (...Config: NonNullable<CreateNetwork['ipam']>['Config'][]) => ({
  ipam: { Config: Config.flat() as never },
})
const refused: [string, Partial<CreateNetwork>, ErrorKind, RegExp][] = [
  ['predefined name', { name: 'host' }, 'forbidden', /^operation is not permitted on predefined host network $/],
  ['blank name', { name: ' ' }, 'invalid', /blank/],
  ['second host network', { driver: 'host' }, 'forbidden', /only one instance of "host" network is allowed/],
  ['unknown driver', { driver: 'overlay' }, 'not-found', /plugin "overlay" not found/],
  ['unknown IPAM', { ipam: { Driver: 'dhcp' } }, 'not-found', /plugin "dhcp" not found/],
  ['overlap', config([{ Subnet: '172.17.4.0/24' }]), 'forbidden', /Pool overlaps with other one on this address space/],
  ['bad subnet', config([{ Subnet: '10.0.0.0/40' }]), 'invalid', /invalid CIDR address: 10\.0\.0\.0\/40/],
  ['tiny subnet', config([{ Subnet: '10.0.0.0/31' }]), 'invalid', /no room/],
  ['gateway outside', config([{ Subnet: '10.0.0.0/24', Gateway: '10.0.1.1' }]), 'invalid', /doesn't contain/],
  ['range outside', config([{ Subnet: '10.0.0.0/24', IPRange: '10.1.0.0/25' }]), 'invalid', /not inside subnet/],
  ['two of a kind', config([{ Subnet: '10.0.0.0/24' }, { Subnet: '10.0.1.0/24' }]), 'invalid', /one subnet of each/],
  ['IPv6 off', config([{ Subnet: 'fd00::/64' }]), 'invalid', /IPv6 is not enabled/],
  ['no version', { enableIPv4: false }, 'invalid', /must be enabled/],
  ['MTU', { options: { 'com.docker.network.driver.mtu': 'big' } }, 'invalid', /invalid MTU/],
  ['bridge name', { options: { 'com.docker.network.bridge.name': 'name-of-16-bytes' } }, 'invalid', /bridge name/],
  ['bridge path', { options: { 'com.docker.network.bridge.name': '../x' } }, 'invalid', /bridge name/],
]
for (const [what, request, kind, message] of refused)
  test(`refused: ${what}`, () =>
    assert.throws(
      () => define(request),
      (error) => isKind(error, kind) && message.test(error.message),
    ))

test('predefined: bridge with a subnet, host and none without', () => {
  const networks = predefinedNetworks('drydock0', others)
  assert.deepEqual(
    networks.map(({ name, driver, bridge, ipam }) => [name, driver, bridge, ipam.Config.length]),
    [
      ['bridge', 'bridge', 'drydock0', 1],
      ['host', 'host', '', 0],
      ['none', 'null', '', 0],
    ],
  )
})

test('a wanted address must be in the subnet, and free', () => {
  const network = define(config([{ Subnet: '10.0.0.0/24', AuxiliaryAddresses: { printer: '10.0.0.9' } }]))
  const space = spaceOf(network, 4)!
  const lease = (wanted: string) =>
    leaseAddress(network, space, { wanted, taken: new Set([parseAddress('10.0.0.5')!.value]), last: '' })
  assert.deepEqual(lease('10.0.0.7'), parseAddress('10.0.0.7'))
  for (const taken of ['10.0.0.5', '10.0.0.1', '10.0.0.9']) assert.throws(() => lease(taken), /Address already in use/)
  assert.throws(() => lease('10.0.1.1'), /no configured subnet contains IP address 10\.0\.1\.1/)
  assert.throws(() => lease('fd00::1'), /invalid IPv4 address/)
  assert.throws(() => lease('nonsense'), /invalid IPv4 address/)
})

test('a full network says so', () => {
  const network = define(config([{ Subnet: '10.0.0.0/30' }]))
  const taken = new Set([parseAddress('10.0.0.2')!.value])
  assert.throws(
    () => leaseAddress(network, spaceOf(network, 4)!, { wanted: undefined, taken, last: '' }),
    (error) => isKind(error, 'unavailable') && /no available IPv4 addresses/.test(error.message),
  )
})

test('instances have links and tables of their own, short enough for a link', () => {
  assert.deepEqual(instanceNames(''), { defaultBridge: 'drydock0', table: 'drydock' })
  const [one, two] = [instanceNames('/srv/a'), instanceNames('/srv/b')]
  assert.notEqual(one.defaultBridge, two.defaultBridge)
  assert.notEqual(one.table, two.table)
  assert.ok(one.defaultBridge.length <= 15)
  assert.deepEqual(instanceNames('/srv/a'), one)
})

test('a random hardware address belongs to one station and to no maker', () => {
  for (let round = 0; round < 50; round += 1) assert.equal(Number.parseInt(randomMac().slice(0, 2), 16) & 3, 2)
})
