/** What a list of mount options asks for; runtime-spec config.md, "Linux mount options". Pure. */
import { resolve } from 'node:path'
import { EngineError, messageOf } from '../base/errors.ts'
import { mountAttributes as attr, mountFlags as ms } from '../kernel/mount.ffi.ts'
import type { OciMount } from '../spec/oci.ts'
import { flagOptions, propagationOptions, recursiveOptions } from './mount-options.table.ts'

export type MountPlan = {
  /** Flags of mount(2). */
  flags: number
  /** `bind` or `rbind` was named. */
  bind: boolean
  /** Flags that were named to be cleared: a bind must not inherit them from its source. */
  cleared: number
  /** One mount(2) call each, in order. */
  propagation: number[]
  /** Recursive attributes of mount_setattr(2). */
  recursive: { set: number; clear: number }
  /** `idmap` or `ridmap`: with the mount's own id mappings. */
  idmap?: 'mount' | 'recursive'
  /** Copy what the image has at the destination into a fresh tmpfs. */
  copyUp: boolean
  /** What the file system itself understands. */
  data: string[]
}

export const isBind = ({ type }: OciMount, plan: MountPlan): boolean => plan.bind || type === 'bind'

/** A relative destination counts from `/`, as config.md "Mounts" has it for old tools; the source of a bind from the bundle. */
export function absoluteMount(mount: OciMount, bundle: string): OciMount {
  const destination = mount.destination.startsWith('/') ? mount.destination : `/${mount.destination}`
  if (mount.source === undefined || !isBind(mount, planMount(mount.options ?? []))) return { ...mount, destination }
  return { ...mount, destination, source: resolve(bundle, mount.source) }
}

/** Whether the owners that the mount shows are others than the file system has; mappings alone are as good as `idmap`. */
export const mapsOwners = ({ uidMappings }: OciMount, { idmap }: MountPlan): boolean =>
  idmap !== undefined || uidMappings !== undefined

/** An error in the work on a mount names the mount. */
export function inPlace<Result>(index: number, { destination }: OciMount, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    const sentence = `error mounting mounts[${index}] (${destination}): ${messageOf(error)}`
    throw error instanceof EngineError
      ? new EngineError(error.kind, sentence, { cause: error })
      : new Error(sentence, { cause: error })
  }
}

/** What of the flags a single mount has, as mount_setattr(2) changes it. */
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

export const accessTimes = ms.MS_NOATIME | ms.MS_RELATIME | ms.MS_STRICTATIME

/** As mount_setattr(2) takes it: `clear` first. */
export type AttributeChoice = { set: number; clear: number }

/** For a mount that exists already: access times are one choice of three, and the field is cleared first. */
export function changeOf({ flags, cleared }: MountPlan): AttributeChoice {
  const change = { set: attributesOf(flags), clear: attributesOf(cleared) }
  if (((flags | cleared) & accessTimes) === 0) return change
  change.clear |= attr.MOUNT_ATTR_ATIME
  if ((flags & ms.MS_NOATIME) !== 0) change.set |= attr.MOUNT_ATTR_NOATIME
  else if ((flags & ms.MS_STRICTATIME) !== 0) change.set |= attr.MOUNT_ATTR_STRICTATIME
  return change
}

/** Of the whole file system: a bind mount has its source's and cannot have others. */
const superblockFlags: readonly (readonly [flag: number, option: string])[] = [
  [ms.MS_SYNCHRONOUS, 'sync'],
  [ms.MS_DIRSYNC, 'dirsync'],
  [ms.MS_MANDLOCK, 'mand'],
  [ms.MS_LAZYTIME, 'lazytime'],
  [ms.MS_I_VERSION, 'iversion'],
]

/** The options that a bind mount could not carry: the kernel would pass them over without a word. */
export const unfitForBind = ({ flags, data }: MountPlan): string[] => [
  ...data,
  ...superblockFlags.filter(([flag]) => (flags & flag) !== 0).map(([, option]) => option),
]

export function planMount(options: readonly string[]): MountPlan {
  const plan: MountPlan = {
    flags: 0,
    bind: false,
    cleared: 0,
    propagation: [],
    recursive: { set: 0, clear: 0 },
    copyUp: false,
    data: [],
  }
  for (const option of options) addOption(plan, option)
  plan.bind = (plan.flags & ms.MS_BIND) !== 0
  return plan
}

function addOption(plan: MountPlan, option: string): void {
  const flag = flagOptions[option]
  const propagation = propagationOptions[option]
  const recursive = recursiveOptions[option]
  if (flag !== undefined) {
    plan.flags = (plan.flags & ~(flag.clear ?? 0)) | (flag.set ?? 0)
    plan.cleared = (plan.cleared & ~(flag.set ?? 0)) | (flag.clear ?? 0)
  } else if (propagation !== undefined) {
    plan.propagation.push(propagation)
  } else if (recursive !== undefined) {
    plan.recursive.set = (plan.recursive.set & ~(recursive.clear ?? 0)) | (recursive.set ?? 0)
    plan.recursive.clear = (plan.recursive.clear & ~(recursive.set ?? 0)) | (recursive.clear ?? 0)
  } else if (option === 'idmap' || option === 'ridmap') {
    plan.idmap = option === 'idmap' ? 'mount' : 'recursive'
  } else if (option === 'tmpcopyup') {
    plan.copyUp = true
  } else {
    plan.data.push(option)
  }
}
