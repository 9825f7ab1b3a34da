import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { containerName, generateName } from '../../../engine/lifecycle/names.ts'

test('a slash in front is taken off; what Docker refuses is refused in its words', () => {
  assert.equal(containerName('/web-1'), 'web-1')
  for (const bad of ['a', '', '/', '-web', 'we b', 'a/b', '//web', 'wéb', 'web\n'])
    assert.throws(
      () => containerName(bad),
      (error) =>
        isKind(error, 'invalid') &&
        error.message === `Invalid container name (${bad}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    )
})

test('generated names are adjective_surname, get a digit after a collision, and end as the short id', () => {
  const id = 'abcdef0123456789'.repeat(4)
  const first = generateName(id, () => false)
  assert.match(first, /^[a-z]+_[a-z]+$/)
  const second = generateName(
    id,
    (name) => !/\d$/.test(name),
    () => 0,
  )
  assert.match(second, /^[a-z]+_[a-z]+0$/)
  assert.equal(
    generateName(id, () => true),
    'abcdef012345',
  )
})
