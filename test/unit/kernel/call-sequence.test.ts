/** System calls in a row: the code against an assembler, which calls are made and what is told of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callSequence, type SystemCall } from '../../../engine/kernel/call-sequence.ffi.ts'
import { callSequenceListings } from '../../../engine/kernel/call-sequence.table.ts'
import { testListings } from './assembler.ts'

testListings(callSequenceListings)

const PR_SET_NAME = 15
const PR_GET_NAME = 16
const EINVAL = 22

const failure = (errno: number): Error => new Error(`errno ${errno}`)
const nameInto = (buffer: Buffer): SystemCall => ({ name: 'prctl', args: [PR_GET_NAME, buffer], failure })
const setName = (name: string): SystemCall => ({
  name: 'prctl',
  args: [PR_SET_NAME, Buffer.from(`${name}\0`)],
  failure,
})
const refused: SystemCall = { name: 'prctl', args: [-1, 0, 0, 0, 0] }
const text = (buffer: Buffer): string => buffer.toString('latin1', 0, buffer.indexOf(0))

/** The thread's name is a thing that calls can change and read, and nobody else cares for. */
function keepingName(work: (before: string) => void): void {
  const before = Buffer.alloc(16)
  callSequence([nameInto(before)])()
  try {
    work(text(before))
  } finally {
    callSequence([setName(text(before))])()
  }
}

test('all are made in their order, one that may fail is passed over, the last one’s result is told', () => {
  keepingName(() => {
    const [first, second] = [Buffer.alloc(16), Buffer.alloc(16)]
    const run = callSequence([setName('one'), nameInto(first), refused, setName('two'), nameInto(second)])
    assert.equal(run(), 0n)
    assert.deepEqual([text(first), text(second)], ['one', 'two'])
    second.fill(0)
    assert.equal(run(), 0n, 'as often as one likes')
    assert.equal(text(second), 'two')
    assert.equal(callSequence([setName('three'), refused])(), BigInt(-EINVAL))
  })
})

test('the first that had to succeed and did not ends the row', () => {
  keepingName((before) => {
    const found = Buffer.alloc(16)
    const run = callSequence([nameInto(found), { ...refused, failure }, setName('never')])
    assert.throws(run, { message: `errno ${EINVAL}` })
    assert.equal(text(found), before)
    callSequence([nameInto(found)])()
    assert.equal(text(found), before)
  })
})
