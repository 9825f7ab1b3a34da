/**
 * The flags of a bind mount, as mount(2) has them with MS_REMOUNT|MS_BIND: without a word it has its source's; once a flag
 * is named, set or cleared, it has those that are named and no others. Access times are an exception: they stay until
 * one kind of them is chosen.
 *
 * For a container in a user namespace the source's flags are locked, mount_namespaces(7): what is not named stays, and
 * what is named must not take one away.
 */
import { isErrno } from '../kernel/libc.ffi.ts'
import {
  mountAttributes as attr,
  mountAttributesOf,
  mountFlags as ms,
  setMountAttributes,
} from '../kernel/mount.ffi.ts'
import { type AttributeChoice, accessTimes, attributesOf, type MountPlan } from './mount-options.ts'

const lockable = [
  [attr.MOUNT_ATTR_RDONLY, 'ro'],
  [attr.MOUNT_ATTR_NOSUID, 'nosuid'],
  [attr.MOUNT_ATTR_NODEV, 'nodev'],
  [attr.MOUNT_ATTR_NOEXEC, 'noexec'],
] as const

const anyLockable = lockable.reduce((all, [bit]) => all | bit, 0)
const anyAccessTime = attr.MOUNT_ATTR_ATIME | attr.MOUNT_ATTR_NODIRATIME

const namesFlags = ({ flags, cleared }: MountPlan): boolean =>
  (flags & ~(ms.MS_BIND | ms.MS_REC | ms.MS_REMOUNT)) !== 0 || cleared !== 0

/** All flags of a mount, but for access times that nobody chose. */
export function exactChoice({ flags }: MountPlan): AttributeChoice {
  const set = attributesOf(flags)
  const clear = (anyLockable | attr.MOUNT_ATTR_NOSYMFOLLOW) & ~set
  if ((flags & (accessTimes | ms.MS_NODIRATIME)) === 0) return { set, clear }
  const directories = attr.MOUNT_ATTR_NODIRATIME & ~set
  if ((flags & ms.MS_NOATIME) !== 0) return { set: set | attr.MOUNT_ATTR_NOATIME, clear: clear | anyAccessTime }
  const strict = (flags & ms.MS_STRICTATIME) === 0 ? 0 : attr.MOUNT_ATTR_STRICTATIME
  return { set: set | strict, clear: clear | attr.MOUNT_ATTR_ATIME | directories }
}

const refusal = (what: string): Error => new Error(`cannot change the locked flags ${what}: operation not permitted`)

/**
 * What of the source's flags a change would take away; 0 where nothing. Throws where it was asked to.
 *
 * @param before attributes of the source
 * @param after those that the change leads to
 */
export function lostFlags(before: number, after: number, plan: MountPlan): number {
  if (((before ^ after) & anyAccessTime) !== 0) throw refusal('of access times')
  const lost = before & ~after & anyLockable
  const unwanted = lockable.filter(([bit]) => (lost & attributesOf(plan.cleared) & bit) !== 0)
  if (unwanted.length > 0) throw refusal(unwanted.map(([, name]) => name).join(', '))
  return lost
}

/** False where the kernel has locked a flag that would go. */
function tryChange(mount: number, choice: AttributeChoice): boolean {
  try {
    setMountAttributes(mount, choice)
    return true
  } catch (error) {
    if (!isErrno(error, 'EPERM')) throw error
    return false
  }
}

/**
 * @param mount a detached copy of the source's
 * @param locked it is for a container in a user namespace: a copy that was made outside has no locks of the kernel's
 */
export function applyBindFlags(mount: number, plan: MountPlan, locked: boolean): void {
  if (!namesFlags(plan)) return
  const choice = exactChoice(plan)
  const before = mountAttributesOf(mount)
  const done = tryChange(mount, choice)
  if (done && !locked) return
  // Seen, not computed: a file system that is read-only itself loses nothing.
  const after = done ? mountAttributesOf(mount) : (before & ~choice.clear) | choice.set
  const lost = lostFlags(before, after, plan)
  if (!done || lost !== 0) setMountAttributes(mount, { set: choice.set | lost, clear: choice.clear & ~lost })
}
