import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAddress, parseSubnet } from '../../../engine/base/address.ts'
import { type ErrorKind, isKind } from '../../../engine/base/errors.ts'
import { defineNetwork, networkWarning, predefinedNetworks } from '../../../engine/network/define-network.ts'
import { instanceNames, randomMac } from '../../../engine/network/instance-names.ts'
import type { CreateNetwork } from '../../../engine/network/network.ts'
import { leaseAddress, spaceOf, spacesOf } from '../../../engine/network/network-plan.ts'
import { vlanOf } from '../../../engine/network/parent-settings.ts'

const others = [parseSubnet('172.17.0.0/16')]
const site = { identifier: Buffer.from('0102030405', 'hex') }
const define = (request: Partial<CreateNetwork>, taken = others) =>
  defineNetwork({ name: 'web', ...request }, { others, taken, site })

test('a network that asks for nothing gets a subnet, a gateway and a bridge', () => {
  const network = define({})
  assert.deepEqual(network.ipam.Config, [{ Subnet: '172.18.0.0/16', Gateway: '172.18.0.1' }])
  assert.equal(network.bridge, `dd-${network.id.slice(0, 12)}`)
  assert.equal(network.driver, 'bridge')
  assert.deepEqual([network.enableIPv4, network.enableIPv6, network.internal], [true, false, false])
})

test('IPv6 without a subnet gets a unique local one', () => {
  const [, first] = define({ enableIPv6: true }).ipam.Config
  assert.deepEqual(first, { Subnet: 'fd01:203:405::/64', Gateway: 'fd01:203:405::1' })
  const [, second] = define({ enableIPv6: true }, [...others, parseSubnet(first!.Subnet!)]).ipam.Config
  assert.equal(second!.Subnet, 'fd01:203:405:1::/64')
  const only = define({ enableIPv4: false, enableIPv6: true })
  assert.deepEqual([only.ipam.Config.length, only.enableIPv4], [1, false])
})

test('a subnet of a version that is not enabled counts for nothing, and is told of', () => {
  const request = { ...config([{ Subnet: 'fd00::/64' }]), name: 'web' }
  const network = define(request)
  assert.deepEqual(
    spacesOf(network).map(({ subnet }) => subnet.version),
    [4],
  )
  assert.match(networkWarning(request), /^Subnet fd00::\/64 is not used/)
  assert.equal(networkWarning({ ...request, enableIPv6: true }), '')
})

test('macvlan networks may have several subnets, and no bridge', () => {
  const request = config([{ Subnet: '10.0.0.0/24' }, { Subnet: '10.0.1.0/24' }])
  const network = define({ ...request, driver: 'macvlan', options: { parent: 'eth0.5' } })
  assert.deepEqual([network.bridge, spacesOf(network).length], ['', 2])
  assert.deepEqual(vlanOf('eth0.5'), { link: 'eth0', number: 5 })
  assert.equal(vlanOf('eth0.4095'), undefined)
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
  [
    'bad subnet',
    config([{ Subnet: '10.0.0.0/40' }]),
    'invalid',
    /^invalid network config:\ninvalid subnet 10\.0\.0\.0\/40: invalid CIDR block notation$/,
  ],
  [
    'host bits',
    config([{ Subnet: '10.0.0.9/24' }]),
    'invalid',
    /\ninvalid subnet 10\.0\.0\.9\/24: it should be 10\.0\.0\.0\/24$/,
  ],
  ['tiny subnet', config([{ Subnet: '10.0.0.0/31' }]), 'invalid', /no room/],
  [
    'gateway outside',
    config([{ Subnet: '10.0.0.0/24', Gateway: '10.0.1.1' }]),
    'invalid',
    /\ninvalid gateway 10\.0\.1\.1: parent subnet 10\.0\.0\.0\/24 doesn't contain this address$/,
  ],
  [
    'range outside',
    config([{ Subnet: '10.0.0.0/24', IPRange: '10.1.0.0/25' }]),
    'invalid',
    /invalid ip-range 10\.1\.0\.0\/25: parent subnet 10\.0\.0\.0\/24 doesn't contain ip-range$/,
  ],
  [
    'several faults',
    config([{ Subnet: '10.0.0.0/24', IPRange: 'fd00::/65', Gateway: 'x', AuxiliaryAddresses: { a: 'fd00::1' } }]),
    'invalid',
    /^invalid network config:\n\* invalid ip-range fd00::\/65: parent subnet is an IPv4 block\n\* invalid gateway x: invalid address\n\* invalid auxiliary address a: parent subnet is an IPv4 block$/,
  ],
  [
    'two of a kind',
    config([{ Subnet: '10.0.0.0/24' }, { Subnet: '10.0.1.0/24' }]),
    'forbidden',
    /doesn't support multiple subnets/,
  ],
  ['no version', { enableIPv4: false }, 'invalid', /must be enabled/],
  ['MTU', { options: { 'com.docker.network.driver.mtu': 'big' } }, 'invalid', /invalid MTU/],
  ['bridge name', { options: { 'com.docker.network.bridge.name': 'name-of-16-bytes' } }, 'invalid', /bridge name/],
  ['option', { options: { 'com.docker.network.bridge.enable_icc': 'maybe' } }, 'invalid', /neither true nor false/],
  ['unknown option', { options: { 'com.docker.network.bridge.speed': '9' } }, 'invalid', /not supported/],
  [
    'gateway mode',
    { options: { 'com.docker.network.bridge.gateway_mode_ipv4': 'magic' } },
    'invalid',
    /unknown gateway mode magic/,
  ],
  ['macvlan without parent', { driver: 'macvlan' }, 'invalid', /option parent/],
  ['macvlan on loopback', { driver: 'macvlan', options: { parent: 'lo' } }, 'invalid', /loopback/],
  ['macvlan mode', { driver: 'macvlan', options: { parent: 'e0', macvlan_mode: 'x' } }, 'invalid', /macvlan mode 'x'/],
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
