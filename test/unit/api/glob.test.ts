import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Glob } from '../../../engine/api/glob.ts'

test("Go's path.Match", () => {
  for (const [pattern, text, fits] of [
    ['abc', 'abc', true],
    ['*', 'abc', true],
    ['*c', 'abc', true],
    ['a*', 'a', true],
    ['a*', 'ab/c', false],
    ['a*/b', 'abc/b', true],
    ['a*/b', 'a/c/b', false],
    ['a*b*c*d*e*', 'axbxcxdxe', true],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/f', true],
    ['a*b?c*x', 'abxbbxdbxebxczzx', true],
    ['a*b?c*x', 'abxbbxdbxebxczzy', false],
    ['ab[c]', 'abc', true],
    ['ab[b-d]', 'abc', true],
    ['ab[e-g]', 'abc', false],
    ['ab[^c]', 'abc', false],
    ['ab[^e-g]', 'abc', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'ab', false],
    ['a?b', 'a☺b', true],
    ['a[^a]b', 'a☺b', true],
    ['a?b', 'a/b', false],
    ['[\\]a]', ']', true],
    ['[\\-x]', '-', true],
    ['', '', true],
    ['', 'x', false],
    ['*x', 'xxx', true],
  ] as const)
    assert.equal(new Glob(pattern).matches(text), fits, `${pattern} on ${text}`)
  for (const broken of ['[', '[^', '[^bc', 'a[', '\\', '[a-]', 'x[a-\\'])
    assert.throws(() => new Glob(broken).matches('ax'), /syntax error in pattern/, broken)
})

test('stars that could be anywhere cost steps, not powers of them', () => {
  assert.equal(new Glob(`${'*a'.repeat(1000)}b`).matches('a'.repeat(20_000)), false)
})
