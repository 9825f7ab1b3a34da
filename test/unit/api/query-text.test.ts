import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseQuery } from '../../../engine/api/query-text.ts'

test('parameters, those that repeat as arrays; names of prototypes are names', () => {
  const query = parseQuery('a=1&b=x%20y&a=2&__proto__=p&constructor=c&a=3&flag')
  assert.deepEqual({ ...query }, { a: ['1', '2', '3'], b: 'x y', ['__proto__']: 'p', constructor: 'c', flag: '' })
  assert.equal(Object.getPrototypeOf(query), null)
  assert.equal(({} as Record<string, unknown>).p, undefined)
})

test('too many, and what ends at a NUL, are refused', () => {
  assert.equal((parseQuery('c=1&'.repeat(10_000)).c as string[]).length, 10_000)
  assert.throws(() => parseQuery('c=1&'.repeat(10_001)), /more than 10000 parameters/)
  assert.throws(() => parseQuery('path=/etc%00/x'), /invalid query parameter path: a NUL character/)
})
