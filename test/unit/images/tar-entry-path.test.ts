import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { entryPath, splitPath } from '../../../engine/images/entry-path.ts'

for (const [name, path] of [
  ['etc/passwd', 'etc/passwd'],
  ['./etc//passwd', 'etc/passwd'],
  ['etc/', 'etc'],
  ['./', ''],
  ['.', ''],
  ['', ''],
  ['/', ''],
  ['/a', 'a'],
  ['//a/./b', 'a/b'],
  ['a/../b', 'b'],
  ['a/..', ''],
  ['..a/.b.', '..a/.b.'],
] as const)
  test(`${JSON.stringify(name)} is ${JSON.stringify(path)}`, () => assert.equal(entryPath(name), path))

for (const name of ['..', '../a', 'a/../..', './../a', 'a/b/../../../c', '/..', '/../a', '/./..'])
  test(`${JSON.stringify(name)} leaves the layer`, () =>
    assert.throws(
      () => entryPath(name),
      (error: unknown) =>
        isKind(error, 'invalid') && error.message === `archive entry leaves the layer: ${JSON.stringify(name)}`,
    ))

for (const name of ['a\0b', 'a/'.repeat(2048)])
  test(`${JSON.stringify(name.slice(0, 8))}… is an impossible name`, () =>
    assert.throws(() => entryPath(name), /impossible name/))

test('a path is split at its last slash', () => {
  assert.deepEqual(splitPath(entryPath('a/b/c')), { parent: 'a/b', base: 'c' })
  assert.deepEqual(splitPath(entryPath('c')), { parent: '', base: 'c' })
})
