/** Bind mounts through descriptors: open_tree(2), mount_setattr(2), move_mount(2). */
import { closeSync } from 'node:fs'
import { EngineError, messageOf } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import {
  attachMount,
  mountAttributes as attr,
  cloneTree,
  mountFlags as ms,
  setMountAttributes,
} from '../kernel/mount.ffi.ts'
import type { OciMount } from '../spec/oci.ts'
import { applyBindFlags } from './bind-flags.ts'
import { ensureDirectory, ensureFile, isDirectory, tryOpenPath } from './in-root.ts'
import { type AttributeChoice, changeOf, type MountPlan } from './mount-options.ts'
import { refuseCoveringProc } from './rootfs-rules.ts'

export type BindSource = {
  /** A detached copy of what is to be seen, made by somebody who may see it; absent: made here. */
  made?: number
  /** Has the copy's owners mapped, where the one that was made here is to have that. */
  mapOwners?: (copy: number) => void
  /** Its flags must stay, as those of a copy that a container in a user namespace makes itself do. */
  locked: boolean
}

/**
 * Mounts `entry.source` (of the host) on its destination (inside the root): a copy of the mount is changed while nobody
 * sees it, then attached.
 */
export function mountBind(root: number, entry: OciMount, plan: MountPlan, source: BindSource): void {
  using cleanup = new DisposableStack()
  const copy = source.made ?? cleanup.adopt(openSource(entry, plan), closeSync)
  if (source.made === undefined) source.mapOwners?.(copy)
  const target = cleanup.adopt(
    isDirectory(copy) ? ensureDirectory(root, entry.destination, 0o755) : ensureFile(root, entry.destination),
    closeSync,
  )
  refuseCoveringProc(target, entry.destination, copy)
  applyBindFlags(copy, plan, source.locked)
  // Made outside, it is a peer of the host's mounts, which what the container mounts must not reach.
  const outside = source.made !== undefined && plan.propagation.length === 0
  attachAt(copy, target, outside ? { ...plan, propagation: [ms.MS_SLAVE | ms.MS_REC] } : plan)
}

/** A detached mount, attached where the descriptor `target` shows, with what the plan says of all below it. */
export function attachAt(copy: number, target: number, plan: MountPlan): void {
  changeMount(copy, none, { recursive: plan.recursive, propagation: [] })
  attachMount(copy, target)
  // A copy belongs to no namespace until it is attached; only then can it join or leave a peer group.
  // Without a word it stays in those of its source.
  changeMount(copy, none, { recursive: none, propagation: plan.propagation })
}

const none: AttributeChoice = { set: 0, clear: 0 }

/** First what is only of this mount, then what is of all below it as well. */
export function changeMount(
  mount: number,
  own: AttributeChoice,
  plan: Pick<MountPlan, 'recursive' | 'propagation'>,
): void {
  if (own.set !== 0 || own.clear !== 0) setMountAttributes(mount, own)
  const { recursive } = plan
  if (recursive.set !== 0 || recursive.clear !== 0) setMountAttributes(mount, { ...recursive, recursive: true })
  for (const flags of plan.propagation)
    setMountAttributes(mount, { propagation: flags & ~ms.MS_REC, recursive: (flags & ms.MS_REC) !== 0 })
}

/** `remount` of a bind: the mount that is there already changes. */
export function changeExisting(root: number, { destination }: OciMount, plan: MountPlan): void {
  const known = tryOpenPath(root, destination)
  if (known === undefined)
    throw new EngineError('invalid', `there is nothing at ${JSON.stringify(destination)} to be remounted`)
  try {
    changeMount(known, changeOf(plan), plan)
  } finally {
    closeSync(known)
  }
}

/** A detached copy of the mount at the source: a descriptor, close-on-exec. */
export function openSource({ source = '' }: OciMount, plan: MountPlan): number {
  try {
    return cloneTree(source, { recursive: (plan.flags & ms.MS_REC) !== 0 })
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error
    throw new EngineError('invalid', `bind source path does not exist: ${source}`, { cause: error })
  }
}

/** @param userNamespace its maps say whom the owners on the disk appear as */
export function mapOwners(copy: number, userNamespace: number, source: string, recursive: boolean): void {
  try {
    setMountAttributes(copy, { set: attr.MOUNT_ATTR_IDMAP, userNamespace, recursive })
  } catch (error) {
    throw new EngineError(
      'invalid',
      `the file system of ${JSON.stringify(source)} cannot map owners (${messageOf(error)}): mount it without idmap`,
      {
        cause: error,
      },
    )
  }
}
