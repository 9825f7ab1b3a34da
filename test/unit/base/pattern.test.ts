import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { Pattern } from '../../../engine/base/pattern.ts'

test('an expression is found anywhere; a plain text is one, too', () => {
  for (const [source, text, found] of [
    ['web', 'my-web-1', true],
    ['web', 'we', false],
    ['^/?web$', '/web', true],
    ['^/?web$', 'web2', false],
    ['w[ae]b|x', 'wab', true],
    ['a.b', 'a.b', true],
    ['(?i)x', 'x', undefined],
  ] as const)
    if (found === undefined) assert.throws(() => new Pattern(source), SyntaxError)
    else assert.equal(new Pattern(source).test(text), found, `${source} in ${text}`)
})

test('one that would never end is refused, and so is one that takes its time in many small parts', () => {
  const slow = new Pattern('([0-9a-f]+)+z')
  const refused = (error: unknown): boolean => isKind(error as Error, 'invalid') && /takes too long/.test(String(error))
  assert.throws(() => slow.test('0123456789abcdef'.repeat(4)), refused)
  const parts = new Pattern('([0-9a-f]+)+z')
  assert.throws(() => {
    for (let round = 0; round < 10_000; round += 1) parts.test('0123456789abcdef01234')
  }, refused)
  assert.equal(new Pattern('^fine$').test('fine'), true)
})
