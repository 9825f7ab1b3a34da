import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  addressBytes,
  addressFromBytes,
  contains,
  formatAddress,
  formatSubnet,
  overlaps,
  parseAddress,
  parseSubnet,
} from '../../../engine/base/address.ts'
import { isKind } from '../../../engine/base/errors.ts'
import { chooseAddress, chooseSubnet } from '../../../engine/network/address-pools.ts'

for (const [text, canonical] of [
  ['0.0.0.0', '0.0.0.0'],
  ['172.17.0.2', '172.17.0.2'],
  ['255.255.255.255', '255.255.255.255'],
  ['::', '::'],
  ['::1', '::1'],
  ['fe80::', 'fe80::'],
  ['FD00:0:0:0:0:0:0:1', 'fd00::1'],
  ['2001:db8::a:0:0:1', '2001:db8::a:0:0:1'],
  ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ['::ffff:10.0.0.1', '::ffff:a00:1'],
] as const)
  test(`${text} is read and written as ${canonical}`, () => {
    const address = parseAddress(text)!
    assert.equal(formatAddress(address), canonical)
    assert.deepEqual(addressFromBytes(addressBytes(address)), address)
  })

for (const text of ['', '1.2.3', '1.2.3.256', '01.2.3.4.5', 'fe80::1%eth0', ':::', 'host', '1.2.3.4/8'])
  test(`${JSON.stringify(text)} is no address`, () => assert.equal(parseAddress(text), undefined))

test('a subnet loses its host bits', () => {
  assert.equal(formatSubnet(parseSubnet('10.1.2.3/16')), '10.1.0.0/16')
  assert.equal(formatSubnet(parseSubnet('fd00::1:2/64')), 'fd00::/64')
})

for (const text of ['', '10.0.0.0', '10.0.0.0/33', '10.0.0.0/-1', 'fd00::/129', 'x/8', '10.0.0.0/8/8'])
  test(`${JSON.stringify(text)} is no subnet`, () =>
    assert.throws(
      () => parseSubnet(text),
      (error) => isKind(error, 'invalid'),
    ))

test('subnets overlap when one holds the other, and only within a version', () => {
  assert.ok(overlaps(parseSubnet('172.17.0.0/16'), parseSubnet('172.16.0.0/12')))
  assert.ok(overlaps(parseSubnet('172.17.4.0/24'), parseSubnet('172.17.0.0/16')))
  assert.ok(!overlaps(parseSubnet('172.17.0.0/16'), parseSubnet('172.18.0.0/16')))
  assert.ok(!overlaps(parseSubnet('::/0'), parseSubnet('172.18.0.0/16')))
  assert.ok(!contains(parseSubnet('10.0.0.0/8'), parseAddress('11.0.0.0')!))
})

test('the default pools: seventeen first, around what is taken, then 192.168', () => {
  assert.equal(formatSubnet(chooseSubnet([])), '172.17.0.0/16')
  assert.equal(formatSubnet(chooseSubnet(['172.17.0.0/16', '172.18.5.0/24'].map(parseSubnet))), '172.19.0.0/16')
  assert.equal(formatSubnet(chooseSubnet(['172.16.0.0/12', '192.168.1.0/24'].map(parseSubnet))), '192.168.16.0/20')
  assert.throws(
    () => chooseSubnet(['172.16.0.0/12', '192.168.0.0/16'].map(parseSubnet)),
    /all predefined address pools have been fully subnetted/,
  )
})

const choose = (range: string, subnet: string, taken: string[], last?: string): string | undefined => {
  const address = chooseAddress({
    range: parseSubnet(range),
    subnet: parseSubnet(subnet),
    taken: new Set(taken.map((text) => parseAddress(text)!.value)),
    ...(last === undefined ? {} : { last: parseAddress(last)!.value }),
  })
  return address === undefined ? undefined : formatAddress(address)
}

test('addresses are given out in turn, and come back only after all others', () => {
  const subnet = '10.0.0.0/29'
  assert.equal(choose(subnet, subnet, ['10.0.0.1']), '10.0.0.2')
  assert.equal(choose(subnet, subnet, ['10.0.0.1'], '10.0.0.4'), '10.0.0.5')
  assert.equal(choose(subnet, subnet, ['10.0.0.1'], '10.0.0.6'), '10.0.0.2', 'after the last usable one')
})

test('neither the network nor the broadcast address is given out', () => {
  const subnet = '10.0.0.0/30'
  assert.equal(choose(subnet, subnet, ['10.0.0.1', '10.0.0.2']), undefined)
  assert.equal(choose('fd00::/127', 'fd00::/126', ['fd00::1']), undefined)
  assert.equal(choose('fd00::2/127', 'fd00::/126', []), 'fd00::2', 'IPv6 has no broadcast address')
})

test('a range keeps addresses inside it', () => {
  assert.equal(choose('10.0.0.128/25', '10.0.0.0/24', []), '10.0.0.128')
  assert.equal(choose('10.0.0.128/25', '10.0.0.0/24', [], '10.0.0.254'), '10.0.0.128')
  assert.equal(choose('10.0.0.64/26', '10.0.0.0/24', [], '10.0.0.126'), '10.0.0.127', 'not the broadcast address here')
})
