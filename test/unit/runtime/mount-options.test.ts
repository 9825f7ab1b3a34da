/** Every mount option of config.md, "Linux mount options", by what it changes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mountAttributes as attr, mountFlags as ms } from '../../../engine/kernel/mount.ffi.ts'
import { changeOf, planMount, unfitForBind } from '../../../engine/runtime/mount-options.ts'

test('every option of the specification is known', () => {
  const names =
    'async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime noexec ' +
    'noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime ' +
    'relatime remount rexec rnoatime rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate ' +
    'rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime ' +
    'suid symfollow sync tmpcopyup unbindable idmap ridmap rnodev'
  assert.deepEqual(planMount(names.split(' ')).data, [])
})

test('what is not known is the file system’s', () => {
  assert.deepEqual(planMount(['ro', 'size=1m', 'mode=755']).data, ['size=1m', 'mode=755'])
})

test('the later of two opposites counts', () => {
  assert.equal(planMount(['ro', 'rw']).flags, 0)
  assert.equal(planMount(['ro', 'rw']).cleared, ms.MS_RDONLY)
  assert.equal(planMount(['rw', 'ro']).cleared, 0)
  assert.deepEqual(planMount(['rro', 'rrw']).recursive, { set: 0, clear: attr.MOUNT_ATTR_RDONLY })
  assert.equal(planMount(['noatime', 'strictatime']).flags, ms.MS_STRICTATIME)
  assert.equal(planMount(['strictatime', 'relatime']).flags, ms.MS_RELATIME)
})

test('access times of a bind are one field', () => {
  const change = (...options: string[]) => changeOf(planMount(options))
  assert.deepEqual(change('noatime'), { set: attr.MOUNT_ATTR_NOATIME, clear: attr.MOUNT_ATTR_ATIME })
  assert.deepEqual(change('strictatime'), { set: attr.MOUNT_ATTR_STRICTATIME, clear: attr.MOUNT_ATTR_ATIME })
  assert.deepEqual(change('relatime'), { set: 0, clear: attr.MOUNT_ATTR_ATIME })
  assert.deepEqual(change('ro'), { set: attr.MOUNT_ATTR_RDONLY, clear: 0 })
  assert.deepEqual(change('nodev', 'exec'), { set: attr.MOUNT_ATTR_NODEV, clear: attr.MOUNT_ATTR_NOEXEC })
})

test('what a bind mount cannot carry is found', () => {
  assert.deepEqual(unfitForBind(planMount(['rbind', 'ro', 'rslave'])), [])
  assert.deepEqual(unfitForBind(planMount(['bind', 'size=1m', 'sync', 'lazytime'])), ['size=1m', 'sync', 'lazytime'])
  assert.deepEqual(unfitForBind(planMount(['bind', 'sync', 'async'])), [])
})
