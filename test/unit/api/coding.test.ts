import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codingOf } from '../../../engine/api/compressed-answer.ts'

test('the coding of an archive is the one that its reader likes best', () => {
  for (const [accept, coding] of [
    [undefined, undefined],
    ['', undefined],
    ['identity', undefined],
    ['gzip', 'gzip'],
    ['deflate', 'deflate'],
    ['deflate, GZIP', 'gzip'],
    ['gzip;q=0.5, deflate;q=0.8, br', 'deflate'],
    ['gzip;q=0', undefined],
    ['gzip;q=nonsense', undefined],
    ['*', 'gzip'],
    ['br;q=1, *;q=0.1', 'gzip'],
  ] as const)
    assert.equal(codingOf(accept), coding, accept)
})
