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
import { ensureDirectory, ensureFile, isDirectory } from './in-root.ts'
import type { MountPlan } from './mount-options.ts'
import { refuseCoveringProc } from './rootfs-rules.ts'

/** Flags of mount(2) that a bind can carry, as attributes of mount_setattr(2). */
const attributeOfFlag: readonly (readonly [flag: number, attribute: number])[] = [
  [ms.MS_RDONLY, attr.MOUNT_ATTR_RDONLY],
  [ms.MS_NOSUID, attr.MOUNT_ATTR_NOSUID],
  [ms.MS_NODEV, attr.MOUNT_ATTR_NODEV],
  [ms.MS_NOEXEC, attr.MOUNT_ATTR_NOEXEC],
  [ms.MS_NODIRATIME, attr.MOUNT_ATTR_NODIRATIME],
  [ms.MS_NOSYMFOLLOW, attr.MOUNT_ATTR_NOSYMFOLLOW],
]

export function attributesOf(flags: number): number {
  let attributes = 0
  for (const [flag, attribute] of attributeOfFlag) if ((flags & flag) !== 0) attributes |= attribute
  return attributes
}

/**
 * Mounts `entry.source` (of the host) on its destination (inside the root): a copy of the mount is changed while nobody
 * sees it, then attached.
 *
 * @param source such a copy, made by somebody who may see the source or map its owners
 */
export function mountBind(root: number, entry: OciMount, plan: MountPlan, source: number | undefined): void {
  using cleanup = new DisposableStack()
  const copy = source ?? cleanup.adopt(openSource(entry, plan), closeSync)
  const set = attributesOf(plan.flags)
  const clear = attributesOf(plan.cleared)
  if (set !== 0 || clear !== 0) setMountAttributes(copy, { set, clear })
  if (plan.recursive.set !== 0 || plan.recursive.clear !== 0)
    setMountAttributes(copy, { ...plan.recursive, recursive: true })
  const target = cleanup.adopt(
    isDirectory(copy) ? ensureDirectory(root, entry.destination, 0o755) : ensureFile(root, entry.destination),
    closeSync,
  )
  refuseCoveringProc(target, entry.destination)
  attachMount(copy, target)
  // A copy belongs to no namespace until it is attached; only then can it join or leave a peer group.
  // Without a word it stays in those of its source.
  for (const flags of plan.propagation)
    setMountAttributes(copy, { propagation: flags & ~ms.MS_REC, recursive: (flags & ms.MS_REC) !== 0 })
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
