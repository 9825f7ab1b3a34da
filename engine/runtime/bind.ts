/** Bind mounts through descriptors: open_tree(2), mount_setattr(2), move_mount(2). */
import { closeSync, statSync } from 'node:fs'
import { EngineError, messageOf } from '../base/errors.ts'
import {
  attachMount,
  mountAttributes as attr,
  cloneTree,
  mountFlags as ms,
  setMountAttributes,
} from '../kernel/mount.ffi.ts'
import type { OciMount } from '../spec/oci.ts'
import { ensureDirectory, ensureFile } from './in-root.ts'
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
 * @param idMap a user namespace whose maps the mount gets, for `idmap` and `ridmap`
 */
export function mountBind(root: number, entry: OciMount, plan: MountPlan, idMap: number | undefined): void {
  const source = entry.source ?? ''
  const recursive = (plan.flags & ms.MS_REC) !== 0
  using cleanup = new DisposableStack()
  const directory = sourceIsDirectory(source)
  const copy = cleanup.adopt(cloneTree(source, { recursive }), closeSync)
  if (idMap !== undefined) mapIds(copy, idMap, source, plan.idmap === 'recursive')
  const set = attributesOf(plan.flags)
  const clear = attributesOf(plan.cleared)
  if (set !== 0 || clear !== 0) setMountAttributes(copy, { set, clear })
  if (plan.recursive.set !== 0 || plan.recursive.clear !== 0)
    setMountAttributes(copy, { ...plan.recursive, recursive: true })
  const target = cleanup.adopt(
    directory ? ensureDirectory(root, entry.destination, 0o755) : ensureFile(root, entry.destination),
    closeSync,
  )
  refuseCoveringProc(target, entry.destination)
  attachMount(copy, target)
  // A copy belongs to no namespace until it is attached; only then can it join or leave a peer group.
  // Without a word it stays in those of its source.
  for (const flags of plan.propagation)
    setMountAttributes(copy, { propagation: flags & ~ms.MS_REC, recursive: (flags & ms.MS_REC) !== 0 })
}

function sourceIsDirectory(source: string): boolean {
  try {
    return statSync(source).isDirectory()
  } catch (error) {
    throw new EngineError('invalid', `bind source path does not exist: ${source}`, { cause: error })
  }
}

function mapIds(copy: number, userNamespace: number, source: string, recursive: boolean): void {
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
