/** Bytes of D-Bus messages, as the specification's own examples and rules have them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type DBusMessage,
  type DBusValue,
  decodeMessage,
  encodeMessage,
  messageLength,
  typesOf,
  variant,
} from '../../../engine/cgroup/dbus-message.ts'

test('a signature is taken apart into complete types', () => {
  assert.deepEqual(typesOf('yaa{sv}(ia(ss))v'), ['y', 'aa{sv}', '(ia(ss))', 'v'])
  assert.throws(() => typesOf('(i'), /does not end/)
})

test('the greeting, byte by byte', () => {
  const bytes = encodeMessage({
    type: 1,
    serial: 1,
    path: '/org/freedesktop/DBus',
    destination: 'org.freedesktop.DBus',
    interface: 'org.freedesktop.DBus',
    member: 'Hello',
    body: [],
  })
  const expected = [
    '6c010001 00000000 01000000 6d000000',
    '01016f00 15000000 2f6f7267 2f667265 65646573 6b746f70 2f444275 73000000',
    '02017300 14000000 6f72672e 66726565 6465736b 746f702e 44427573 00000000',
    '03017300 05000000 48656c6c 6f000000',
    '06017300 14000000 6f72672e 66726565 6465736b 746f702e 44427573 00000000',
  ]
  assert.equal(bytes.toString('hex'), expected.join('').replaceAll(' ', ''))
  assert.equal(messageLength(bytes), bytes.length)
})

const there = (signature: string, body: DBusValue[]): DBusValue[] => {
  const message: DBusMessage = { type: 2, serial: 7, replySerial: 3, signature, body }
  const bytes = encodeMessage(message)
  assert.equal(messageLength(bytes), bytes.length)
  const back = decodeMessage(bytes)
  assert.equal(back.replySerial, 3)
  assert.equal(back.signature, signature)
  return back.body
}

test('every type, there and back', () => {
  const values: [string, DBusValue][] = [
    ['y', 255],
    ['b', true],
    ['b', false],
    ['n', -5],
    ['q', 65535],
    ['i', -(2 ** 31)],
    ['u', 2 ** 32 - 1],
    ['x', -(2n ** 63n)],
    ['t', 2n ** 64n - 1n],
    ['d', -1.5],
    ['s', 'zwölf'],
    ['o', '/a/b'],
    ['g', 'a(sv)'],
    ['ay', Buffer.from([1, 2, 3])],
    ['as', ['a', '', 'bcd']],
    ['at', []],
    ['(ysb)', [1, 'x', true]],
    [
      'a{sv}',
      [
        ['k', variant('u', 5)],
        ['l', variant('as', ['m'])],
      ],
    ],
    ['a(sa(sv))', [['unit', [['PIDs', variant('au', [1, 2])]]]]],
  ]
  for (const [signature, value] of values) assert.deepEqual(there(signature, [value]), [value], signature)
})

test('types of different alignment in one body', () => {
  const body: DBusValue[] = [1, 2n ** 60n, 'a', 3, [[4, 5n]], variant('t', 6n)]
  assert.deepEqual(there('ytsqa(yt)v', body), body)
})

test('a message longer than the first buffer', () => {
  const body: DBusValue[] = [Array.from({ length: 5000 }, (_, index) => `entry ${index}`)]
  assert.deepEqual(there('as', body), body)
})

test('big-endian messages are read', () => {
  const bytes = Buffer.from(
    ['42020001 00000004 00000002 0000000f', '05017500 00000001 08016700 01750000', '00000009']
      .join('')
      .replaceAll(' ', ''),
    'hex',
  )
  assert.equal(messageLength(bytes), bytes.length)
  assert.deepEqual(decodeMessage(bytes), { type: 2, serial: 2, replySerial: 1, signature: 'u', body: [9] })
})

test('half a message has no length yet, a monstrous one is refused, a short one does not fit', () => {
  assert.equal(messageLength(Buffer.alloc(15)), undefined)
  const huge = Buffer.alloc(16)
  huge[0] = 0x6c
  huge.writeUInt32LE(0xffffffff, 4)
  assert.throws(() => messageLength(huge), /D-Bus message of/)
  const bytes = encodeMessage({ type: 2, serial: 1, signature: 's', body: ['long enough'] })
  assert.throws(() => decodeMessage(bytes.subarray(0, bytes.length - 5)), /in the middle of a value/)
})

test('values that do not fit the signature are refused', () => {
  assert.throws(
    () => encodeMessage({ type: 1, serial: 1, signature: 'su', body: ['a'] }),
    /1 values for the signature su/,
  )
  assert.throws(() => encodeMessage({ type: 1, serial: 1, signature: '?', body: [1] }), /no D-Bus type/)
})
