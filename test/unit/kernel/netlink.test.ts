import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  attribute,
  attributesIn,
  errorOf,
  message,
  messagesIn,
  nest,
  netlinkFlags,
  text,
  textOf,
  u32,
} from '../../../engine/kernel/netlink.ts'
import { addAddress, addBridge, addRoute, addVeth, linkIn, setLinkUp } from '../../../engine/kernel/route-messages.ts'

test('an attribute is padded to four bytes, its length is not', () => {
  assert.equal(attribute(3, Buffer.from('ab')).toString('hex'), '0600030061620000')
  assert.equal(text(3, 'lo').toString('hex'), '070003006c6f0000')
})

test('an attribute longer than its length field is refused', () => {
  assert.throws(() => attribute(1, Buffer.alloc(65532)), RangeError)
  assert.equal(attribute(1, Buffer.alloc(65531)).length, 65536)
})

test('a nest holds attributes and is marked as one', () => {
  const bytes = nest(18, text(1, 'bridge'), u32(4, 9))
  assert.equal(bytes.readUInt16LE(2), 18 | 0x8000)
  const inner = attributesIn(attributesIn(bytes).get(18)!)
  assert.equal(textOf(inner.get(1)), 'bridge')
  assert.equal(inner.get(4)!.readUInt32LE(0), 9)
})

test('a message carries length, type, flags and sequence', () => {
  const bytes = message({ type: 16, flags: netlinkFlags.NLM_F_ACK, body: Buffer.of(1, 2, 3), purpose: '' }, 7)
  assert.equal(bytes.toString('hex'), '13000000' + '1000' + '0500' + '07000000' + '00000000' + '01020300')
})

test('messages of a datagram come apart again, a broken length ends them', () => {
  const one = message({ type: 20, flags: 0, body: Buffer.of(1), purpose: '' }, 1)
  const two = message({ type: 21, flags: 2, body: Buffer.of(2, 3, 4, 5), purpose: '' }, 2)
  const replies = messagesIn(Buffer.concat([one, two]))
  assert.deepEqual(
    replies.map(({ type, sequence, body }) => [type, sequence, body.toString('hex')]),
    [
      [20, 1, '01'],
      [21, 2, '02030405'],
    ],
  )
  two.writeUInt32LE(400, 0)
  assert.equal(messagesIn(Buffer.concat([one, two])).length, 1)
  two.writeUInt32LE(0, 0)
  assert.equal(messagesIn(Buffer.concat([one, two])).length, 1)
})

test('attributes with a length that leads outside end the list', () => {
  const good = u32(1, 5)
  const bad = u32(2, 6)
  bad.writeUInt16LE(200, 0)
  assert.deepEqual([...attributesIn(Buffer.concat([good, bad])).keys()], [1])
  bad.writeUInt16LE(0, 0)
  assert.deepEqual([...attributesIn(Buffer.concat([bad, good])).keys()], [])
})

test("an error's own sentence is read behind the quoted header", () => {
  const quoted = Buffer.alloc(16)
  quoted.writeUInt32LE(52, 0)
  const errno = Buffer.alloc(4)
  errno.writeInt32LE(-17, 0)
  const body = Buffer.concat([errno, quoted, text(1, 'name is taken')])
  const flags = netlinkFlags.NLM_F_CAPPED | netlinkFlags.NLM_F_ACK_TLVS
  assert.deepEqual(errorOf({ type: 2, flags, sequence: 1, port: 0, body }), { errno: 17, text: 'name is taken' })
  assert.deepEqual(errorOf({ type: 2, flags: 0, sequence: 1, port: 0, body }), { errno: 17, text: '' })
})

test('a bridge, as ip-link asks for it', () => {
  const { type, body } = addBridge('br0', { mac: '02:00:00:00:00:01', mtu: 1400 })
  assert.equal(type, 16)
  const attributes = attributesIn(body.subarray(16))
  assert.equal(textOf(attributes.get(3)), 'br0')
  assert.equal(attributes.get(1)!.toString('hex'), '020000000001')
  assert.equal(attributes.get(4)!.readUInt32LE(0), 1400)
  assert.equal(textOf(attributesIn(attributes.get(18)!).get(1)), 'bridge')
})

test('a pair of links names both ends and the namespace of one', () => {
  const { body } = addVeth({
    name: 'veth1',
    master: 4,
    peer: { name: 'eth0', namespace: 33, mac: '02:00:00:00:00:02' },
  })
  const outer = attributesIn(body.subarray(16))
  assert.equal(body.readUInt32LE(8) & 1, 1, 'the near end comes up at once')
  assert.equal(outer.get(10)!.readUInt32LE(0), 4)
  const peer = attributesIn(
    attributesIn(attributesIn(outer.get(18)!).get(2)!)
      .get(1)!
      .subarray(16),
  )
  assert.equal(textOf(peer.get(3)), 'eth0')
  assert.equal(peer.get(28)!.readUInt32LE(0), 33)
})

test('an IPv4 address comes with its broadcast address, an IPv6 one without duplicate detection', () => {
  const v4 = addAddress(2, Buffer.of(10, 1, 2, 3), 20).body
  assert.deepEqual([...attributesIn(v4.subarray(8)).get(4)!], [10, 1, 15, 255])
  const v6 = addAddress(2, Buffer.alloc(16, 1), 64).body
  assert.equal(v6.readUInt8(0), 10)
  assert.equal(v6.readUInt8(2), 2)
  assert.equal(attributesIn(v6.subarray(8)).has(4), false)
})

test('a default route has no destination', () => {
  const attributes = attributesIn(addRoute({ gateway: Buffer.of(10, 0, 0, 1), link: 2 }).body.subarray(12))
  assert.deepEqual([...attributes.keys()].sort(), [4, 5])
})

test('a link is read with its kind and counters, and without what the kernel left out', () => {
  const header = Buffer.alloc(16)
  header.writeInt32LE(5, 4)
  header.writeUInt32LE(1, 8)
  const counters = Buffer.alloc(64)
  for (let slot = 0; slot < 8; slot += 1) counters.writeBigUInt64LE(BigInt(slot + 1), slot * 8)
  const full = Buffer.concat([header, text(3, 'eth0'), attribute(23, counters), nest(18, text(1, 'veth'))])
  assert.deepEqual(linkIn(full), {
    index: 5,
    name: 'eth0',
    up: true,
    master: 0,
    mac: '',
    mtu: 0,
    kind: 'veth',
    counters: {
      rx_packets: 1,
      tx_packets: 2,
      rx_bytes: 3,
      tx_bytes: 4,
      rx_errors: 5,
      tx_errors: 6,
      rx_dropped: 7,
      tx_dropped: 8,
    },
  })
  assert.equal(linkIn(header).counters.tx_dropped, 0)
})

test('a link is named by index or by name', () => {
  assert.equal(setLinkUp(3, true).body.readInt32LE(4), 3)
  const byName = setLinkUp('lo', false).body
  assert.equal(byName.readInt32LE(4), 0)
  assert.equal(textOf(attributesIn(byName.subarray(16)).get(3)), 'lo')
})
