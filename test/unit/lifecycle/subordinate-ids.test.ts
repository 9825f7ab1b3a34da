import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { subordinateIds, withDefaultRange } from '../../../engine/lifecycle/subordinate-ids.ts'
import { containerId, hostId, seenInside } from '../../../engine/spec/id-maps.ts'

const files = {
  passwd: 'root:x:0:0::/root:/bin/sh\nann:x:1001:1001::/:/bin/sh\nbob:x:1002:1002::/:/bin/sh\n',
  group: 'ann:x:1001:\nstaff:x:50:\n',
  subuid: 'ann:100000:1000\n# no line\nbob:0:10\n1001:300000:500\ndockremap:500000:65536\n',
  subgid: 'ann:100000:1500\nstaff:700000:10\ndockremap:500000:65536\nbob:4294967290:20\n',
}
const line = (containerID: number, hostID: number, size: number) => ({ containerID, hostID, size })

test('by name, by number, with a group: every range in its order', () => {
  const uids = [line(0, 100_000, 1000), line(1000, 300_000, 500)]
  for (const option of ['ann', '1001', 'ann:ann', '1001:1001'])
    assert.deepEqual(subordinateIds(option, files), { uids, gids: [line(0, 100_000, 1500)] }, option)
  for (const option of ['ann:staff', '1001:50'])
    assert.deepEqual(subordinateIds(option, files), { uids, gids: [line(0, 700_000, 10)] }, option)
  assert.deepEqual(subordinateIds('default', files).uids, [line(0, 500_000, 65_536)])
})

test('what cannot be', () => {
  const cases: [string, RegExp][] = [
    ['', /none of default, user/],
    ['ann:', /none of default/],
    ['ann:staff:x', /none of default/],
    ['eve', /there is no user "eve"/],
    ['ann:nobody', /there is no group "nobody"/],
    ['root', /\/etc\/subuid has no range for "root"/],
    ['bob', /gives "bob" the machine's own root/],
    ['ann:bob', /there is no group "bob"/],
  ]
  for (const [option, pattern] of cases)
    assert.throws(
      () => subordinateIds(option, files),
      (error) => isKind(error, 'invalid') && pattern.test(error.message),
      option,
    )
  const far = { ...files, subuid: 'bob:200000:10\n', group: 'bob:x:1002:\n' }
  assert.throws(() => subordinateIds('bob', far), /beyond all ids/)
})

test('a range for the default user is made once, behind all others', () => {
  assert.equal(withDefaultRange(''), 'dockremap:100000:65536\n')
  assert.equal(withDefaultRange('ann:100000:65536'), 'ann:100000:65536\ndockremap:165536:65536\n')
  assert.equal(withDefaultRange(files.subuid), files.subuid)
})

test('ids, in and out', () => {
  const maps = { uids: [line(0, 1000, 10), line(10, 5000, 10)], gids: [line(0, 0, 5)] }
  assert.deepEqual([hostId(maps.uids, 12), hostId(maps.uids, 20)], [5002, undefined])
  assert.deepEqual([containerId(maps.uids, 5002), containerId(maps.uids, 999)], [12, undefined])
  assert.deepEqual(seenInside(maps, { uid: 1003, gid: 7 }), { uid: 3, gid: 65_534 })
})
