import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { needsLookup, parseGroup, parsePasswd, resolveUser } from '../../../engine/lifecycle/user.ts'

const accounts = parsePasswd(
  'root:x:0:0:root:/root:/bin/sh\n# comment\nbad line\nnode:x:1000:1001:,,,:/home/node:/bin/sh\n12:x:77:78::/:\n',
)
const groups = parseGroup('root:x:0:\naudio:x:29:node,root\nnode:x:1001:\nstaff:x:50:other, node\n')

test('names, numbers, and a name that looks like a number', () => {
  assert.deepEqual(resolveUser('node', [], accounts, groups), { uid: 1000, gid: 1001, additionalGids: [1001, 29, 50] })
  assert.deepEqual(resolveUser('1000', [], accounts, groups), { uid: 1000, gid: 1001, additionalGids: [1001, 29, 50] })
  assert.deepEqual(resolveUser('12', [], accounts, groups), { uid: 77, gid: 78, additionalGids: [78] })
  assert.deepEqual(resolveUser('4242', [], accounts, groups), { uid: 4242, gid: 0, additionalGids: [0] })
})

test('nothing is root with its groups', () => {
  assert.deepEqual(resolveUser('', [], accounts, groups), { uid: 0, gid: 0, additionalGids: [0, 29] })
  assert.deepEqual(resolveUser('', [], [], []), { uid: 0, gid: 0, additionalGids: [0] })
})

test('a group of its own takes the place of the listed ones; GroupAdd comes on top', () => {
  assert.deepEqual(resolveUser('node:audio', [], accounts, groups), { uid: 1000, gid: 29, additionalGids: [29] })
  assert.deepEqual(resolveUser('5:6', ['staff', '9'], accounts, groups), { uid: 5, gid: 6, additionalGids: [6, 50, 9] })
})

test('who is not there is refused', () => {
  for (const [user, more] of [
    ['nobody-here', []],
    ['node:nope', []],
    ['node', ['nope']],
    ['99999999999', []],
  ] as const)
    assert.throws(
      () => resolveUser(user, more, accounts, groups),
      (error) => isKind(error, 'invalid'),
    )
})

test('only numbers for both need no file', () => {
  assert.equal(needsLookup('1:2', []), false)
  assert.equal(needsLookup('1:2', ['3']), false)
  for (const [user, more] of [
    ['1', []],
    ['', []],
    ['1:x', []],
    ['1:2', ['audio']],
  ] as const)
    assert.equal(needsLookup(user, more), true)
})
