import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { defaultDetachKeys, KeyMatcher, parseDetachKeys } from '../../../engine/lifecycle/detach-keys.ts'

/** What passes of input that comes in the given pieces. */
function typed(keys: Buffer, ...pieces: string[]): { passed: string; detached: boolean } {
  const matcher = new KeyMatcher(keys)
  let passed = ''
  for (const piece of pieces) {
    const { pass, detached } = matcher.take(Buffer.from(piece))
    passed += pass.toString()
    if (detached) return { passed, detached }
  }
  return { passed, detached: false }
}

test('the keys are found across pieces, and nothing before them is lost', () => {
  assert.deepEqual(typed(defaultDetachKeys, 'ab\x10\x11cd'), { passed: 'ab', detached: true })
  assert.deepEqual(typed(defaultDetachKeys, 'ab\x10', '\x11'), { passed: 'ab', detached: true })
  assert.deepEqual(typed(defaultDetachKeys, 'a\x10', 'b'), { passed: 'a\x10b', detached: false })
  assert.deepEqual(typed(defaultDetachKeys, '\x10', '\x10', '\x11'), { passed: '\x10', detached: true })
})

test('a longer sequence whose beginning repeats', () => {
  assert.deepEqual(typed(Buffer.from('aab'), 'a', 'a', 'a', 'b'), { passed: 'a', detached: true })
  assert.deepEqual(typed(Buffer.from('aab'), 'aac'), { passed: 'aac', detached: false })
})

test('words for keys', () => {
  assert.deepEqual(parseDetachKeys('ctrl-p,ctrl-q'), defaultDetachKeys)
  assert.deepEqual(parseDetachKeys('ctrl-@,a,ctrl-['), Buffer.from([0, 97, 27]))
  for (const bad of ['', 'ctrl-', 'ctrl-1', 'ab', 'ctrl-a,'])
    assert.throws(
      () => parseDetachKeys(bad),
      (error) => isKind(error, 'invalid') && error.message === `Invalid detach keys (${bad}) provided`,
    )
})
