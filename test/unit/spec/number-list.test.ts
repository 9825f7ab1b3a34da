import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseNumberList } from '../../../engine/spec/number-list.ts'

test('ranges and single numbers, in order and each once', () => {
  assert.deepEqual(parseNumberList('3,0-2, 1'), [0, 1, 2, 3])
  assert.deepEqual(parseNumberList(''), [])
  assert.deepEqual(parseNumberList('7'), [7])
})

test('what is no list is refused', () => {
  for (const text of ['a', '1-', '-1', '2-1', '1,,2', '1-2-3', '999999'])
    assert.throws(() => parseNumberList(text), /is not a list of numbers/, text)
})
