import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineError, isKind } from '../../../engine/base/errors.ts'
import { isNoSpace, noSpace } from '../../../engine/base/no-space.ts'
import { errorOf, plainError } from '../../../engine/images/unpack-message.ts'

/** As a message to another thread does it. */
const across = (error: unknown): Error => errorOf(structuredClone(plainError(error)))

test('an error of the engine keeps its kind, its words and its cause', () => {
  const full = Object.assign(new Error('write: ENOSPC'), { code: 'ENOSPC' })
  const error = across(noSpace('writing "a"', full))
  assert.ok(isKind(error, 'unavailable'))
  assert.equal(error.message, 'no space left on the disk while writing "a"')
  assert.ok(isNoSpace(error))
  assert.equal(isNoSpace(across(new EngineError('unavailable', 'no space'))), false)
})

test('any other error keeps its name, its code and where it was thrown', () => {
  const thrown = Object.assign(new TypeError('not a function'), { code: 'E' })
  const error = across(thrown) as Error & { code?: string }
  assert.deepEqual(
    [error.name, error.message, error.code, error.stack],
    ['TypeError', 'not a function', 'E', thrown.stack],
  )
  assert.ok(!(error instanceof EngineError))
  assert.equal(across('a text').message, 'a text')
})
