/** System calls in a row: the code against an assembler, which calls are made and what is told of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CallSequence, makeCalls, type SystemCall, systemCall } from '../../../engine/kernel/call-sequence.ffi.ts'
import { callSequenceListings } from '../../../engine/kernel/call-sequence.table.ts'
import { testListings } from './assembler.ts'

testListings(callSequenceListings)

const PR_SET_NAME = 15
const PR_GET_NAME = 16
const EINVAL = 22

const nameInto = (buffer: Buffer): SystemCall => systemCall('prctl', [PR_GET_NAME, buffer])
const setName = (name: string): SystemCall => systemCall('prctl', [PR_SET_NAME, Buffer.from(`${name}\0`)])
const refused = systemCall('prctl', [-1, 0, 0, 0, 0], { detail: 'of nothing' })
const text = (buffer: Buffer): string => buffer.toString('latin1', 0, buffer.indexOf(0))

/** The thread's name is a thing that calls can change and read, and nobody else cares for. */
function keepingName(work: (before: string) => void): void {
  const before = Buffer.alloc(16)
  makeCalls([nameInto(before)])
  try {
    work(text(before))
  } finally {
    makeCalls([setName(text(before))])
  }
}

test('all are made in their order, an error that may be is passed over, the last one’s result is told', () => {
  keepingName(() => {
    const [first, second] = [Buffer.alloc(16), Buffer.alloc(16)]
    const passedOver: SystemCall = { ...refused, tolerates: ['ENOENT', 'EINVAL'] }
    const row = new CallSequence([setName('one'), nameInto(first), passedOver, setName('two'), nameInto(second)])
    assert.equal(row.run(), 0n)
    assert.deepEqual([text(first), text(second)], ['one', 'two'])
    second.fill(0)
    assert.equal(row.run(), 0n, 'as often as one likes')
    assert.equal(text(second), 'two')
    assert.equal(makeCalls([setName('three'), passedOver]), BigInt(-EINVAL))
    assert.equal(makeCalls([]), 0n)
  })
})

test('any other error ends the row and is told', () => {
  keepingName((before) => {
    const found = Buffer.alloc(16)
    for (const failing of [refused, { ...refused, tolerates: ['EPERM', 'ENOENT'] } as const]) {
      const row = new CallSequence([nameInto(found), failing, setName('never')])
      assert.throws(() => row.run(), { message: 'prctl of nothing: EINVAL' })
      assert.equal(text(found), before)
      makeCalls([nameInto(found)])
      assert.equal(text(found), before)
    }
  })
})

test('an error beyond those that a set can hold is never passed over', () => {
  const missing = systemCall('umount2', [Buffer.from('a/'.repeat(3000)), 0], { tolerates: ['EPERM', 'ENOENT'] })
  assert.throws(() => makeCalls([missing]), /ENAMETOOLONG/)
})

test('a call goes on with what the one before answered', () => {
  const bytes = Buffer.alloc(16)
  const path = Buffer.from('/proc/self/comm\0')
  const read = makeCalls([
    systemCall('openat', [-100, path, 0]),
    systemCall('read', [-1, bytes, bytes.length], { continues: true }),
  ])
  assert.equal(Number(read), bytes.indexOf('\n') + 1)
})
