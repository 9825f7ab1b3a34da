import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attributesIn, textOf } from '../../../engine/kernel/netlink.ts'
import { addElements, addMap, addTable, concatenation, transaction } from '../../../engine/kernel/nftables.ts'
import { addressIn, interfaceName, register } from '../../../engine/kernel/nftables-expressions.ts'

test('a transaction stands between brackets that name the subsystem', () => {
  const [begin, middle, end] = transaction([addTable('t')])
  assert.deepEqual([begin!.type, end!.type], [16, 17])
  assert.equal(begin!.body.toString('hex'), '0000000a')
  assert.equal(middle!.type, 10 << 8)
  assert.equal(textOf(attributesIn(middle!.body.subarray(4)).get(1)), 't')
})

test('concatenated values fill whole registers', () => {
  assert.equal(concatenation(Buffer.of(6), Buffer.of(0, 80)).toString('hex'), '0600000000500000')
})

test('a map of two fields says the length and type of each', () => {
  const { body } = addMap({ table: 't', name: 'm', key: ['inet_proto', 'inet_service'], data: ['ipv4_addr'] }, 1)
  const attributes = attributesIn(body.subarray(4))
  assert.equal(attributes.get(3)!.readUInt32BE(0), 8 | 128)
  assert.equal(attributes.get(4)!.readUInt32BE(0), (12 << 6) | 13)
  assert.equal(attributes.get(5)!.readUInt32BE(0), 8)
  assert.equal(attributes.get(7)!.readUInt32BE(0), 4)
})

test('a thousand elements are spread over messages that each fit', () => {
  const elements = Array.from({ length: 1000 }, (_, index) => ({
    key: Buffer.alloc(24, index & 0xff),
    data: Buffer.alloc(20),
  }))
  const requests = addElements('t', 'm', elements)
  assert.equal(requests.length, 3)
  for (const { body } of requests) assert.ok(body.length < 65536)
  assert.deepEqual(addElements('t', 'm', []), [])
})

test('an interface name is sixteen bytes and ends in NUL', () => {
  assert.equal(interfaceName('dd-0123456789ab').length, 16)
  assert.equal(interfaceName('a-name-longer-than-allowed')[15], 0)
})

test('a prefix becomes a mask, also within a byte', () => {
  const [, bitwise] = addressIn('ip', 'source', Buffer.of(192, 168, 16, 0), 20)
  assert.ok(bitwise!.includes(Buffer.of(255, 255, 240, 0)))
  assert.equal(register(0), 8)
})
