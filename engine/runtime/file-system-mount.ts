/** File systems of config.json's mounts: the kernel's own, tmpfs, and what else /proc/filesystems names; mount(2). */
import { closeSync } from 'node:fs'
import { isErrno } from '../kernel/libc.ffi.ts'
import { cloneTree, mount, mountFlags as ms, setMountAttributes } from '../kernel/mount.ffi.ts'
import { statusOf } from '../kernel/paths.ffi.ts'
import type { OciMount } from '../spec/oci.ts'
import { attachAt, changeMount } from './bind.ts'
import { copyDirectory } from './copy-up.ts'
import { ensureDirectory, openDirectory, procPath, tryOpenPath } from './in-root.ts'
import { changeOf, type MountPlan } from './mount-options.ts'
import { refuseCoveringProc } from './rootfs-rules.ts'

/** @param made the mount, where somebody else made it */
export function mountFileSystem(root: number, entry: OciMount, plan: MountPlan, made?: number): void {
  const { destination } = entry
  const kernelOwn = entry.type === 'proc' || entry.type === 'sysfs'
  const covered = entry.type === 'tmpfs' ? modeOfDirectory(root, destination) : undefined
  // A link in place of /proc or /sys would put a fake below the engine's later writes.
  const target = ensureDirectory(root, destination, 0o755, { followLinks: !kernelOwn })
  try {
    if (!kernelOwn) refuseCoveringProc(target, destination)
    if (made !== undefined) {
      attachAt(made, target, plan)
      return
    }
    // As runc: a tmpfs over a directory of the image has that one's mode, unless it is told another.
    const data = covered === undefined ? plan.data : [`mode=${covered.toString(8)}`, ...plan.data]
    if (!callMount(target, entry, plan, data)) return
    if (plan.copyUp) copyUp(root, destination, target, plan)
  } finally {
    closeSync(target)
  }
  changePropagation(root, destination, plan)
}

function modeOfDirectory(root: number, destination: string): number | undefined {
  const known = tryOpenPath(root, destination)
  if (known === undefined) return undefined
  try {
    return statusOf(known).mode & 0o7777
  } finally {
    closeSync(known)
  }
}

/** False where there is nothing to go on with. */
function callMount(target: number, entry: OciMount, plan: MountPlan, data: readonly string[]): boolean {
  const type = entry.type ?? 'none'
  // It is filled before nobody may write to it.
  const flags = plan.copyUp ? plan.flags & ~ms.MS_RDONLY : plan.flags
  try {
    mount({ source: entry.source ?? type, target: procPath(target), type, flags, data: data.join(',') })
    return true
  } catch (error) {
    // A kernel without POSIX message queues has no such file system; nobody can miss what is not there.
    if (type === 'mqueue' && isErrno(error, 'ENODEV')) return false
    // It shows network devices: only the owner of the network namespace may mount a new one. The host's is as good.
    if (type !== 'sysfs' || !isErrno(error, 'EPERM')) throw error
    const copy = cloneTree('/sys', { recursive: true })
    changeMount(copy, changeOf(plan), { recursive: { set: 0, clear: 0 }, propagation: [] })
    attachAt(copy, target, plan)
    return true
  }
}

/** `target` still shows what the tmpfs covers. */
function copyUp(root: number, destination: string, target: number, plan: MountPlan): void {
  const fresh = openDirectory(root, destination)
  try {
    copyDirectory(target, fresh)
    if ((plan.flags & ms.MS_RDONLY) !== 0) setMountAttributes(fresh, { set: ms.MS_RDONLY })
  } finally {
    closeSync(fresh)
  }
}

function changePropagation(root: number, destination: string, plan: MountPlan): void {
  if (plan.propagation.length === 0 && plan.recursive.set === 0 && plan.recursive.clear === 0) return
  const mounted = openDirectory(root, destination)
  try {
    changeMount(mounted, { set: 0, clear: 0 }, plan)
  } finally {
    closeSync(mounted)
  }
}
