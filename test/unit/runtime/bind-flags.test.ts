import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mountAttributes as attr } from '../../../engine/kernel/mount.ffi.ts'
import { exactChoice, lostFlags } from '../../../engine/runtime/bind-flags.ts'
import { planMount } from '../../../engine/runtime/mount-options.ts'

const { MOUNT_ATTR_RDONLY: ro, MOUNT_ATTR_NOSUID: nosuid, MOUNT_ATTR_NODEV: nodev } = attr
const { MOUNT_ATTR_NOATIME: noatime, MOUNT_ATTR_NODIRATIME: nodiratime, MOUNT_ATTR_STRICTATIME: strict } = attr

/** What a mount with `before` becomes. */
function after(before: number, ...options: string[]): number {
  const { set, clear } = exactChoice(planMount(['bind', ...options]))
  return (before & ~clear) | set
}

test('what is named is all that a bind has, access times apart', () => {
  assert.equal(after(ro | nodev, 'nosuid'), nosuid)
  assert.equal(after(ro | nodev, 'rw'), 0)
  assert.equal(after(attr.MOUNT_ATTR_NOSYMFOLLOW | attr.MOUNT_ATTR_NOEXEC, 'ro'), ro)
  assert.equal(after(noatime | nodiratime, 'ro'), ro | noatime | nodiratime)
  assert.equal(after(noatime, 'atime'), noatime)
})

test('access times are one choice, of which directories are a part', () => {
  assert.equal(after(noatime, 'relatime'), 0)
  assert.equal(after(noatime, 'strictatime'), strict)
  assert.equal(after(nodiratime, 'strictatime'), strict)
  assert.equal(after(noatime, 'nodiratime'), nodiratime)
  assert.equal(after(strict, 'nodiratime', 'strictatime'), nodiratime | strict)
  assert.equal(after(strict | nodiratime, 'noatime'), noatime)
})

test('a locked flag that nobody named stays; one that was named to go is an error', () => {
  const lost = (before: number, ...options: string[]): number =>
    lostFlags(before, after(before, ...options), planMount(options))
  assert.equal(lost(ro | nodev, 'nosuid'), ro | nodev)
  assert.equal(lost(ro | nodev, 'nosuid', 'ro'), nodev)
  assert.equal(lost(attr.MOUNT_ATTR_NOSYMFOLLOW, 'symfollow'), 0)
  assert.throws(() => lost(ro | nodev, 'rw', 'dev'), /locked flags ro, nodev: operation not permitted/)
  assert.throws(() => lost(noatime, 'relatime'), /access times/)
  assert.equal(lost(noatime, 'noatime'), 0)
})
