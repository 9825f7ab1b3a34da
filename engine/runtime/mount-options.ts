/** What a list of mount options asks for; runtime-spec config.md, "Linux mount options". Pure. */
import { mountFlags as ms } from '../kernel/mount.ffi.ts'
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
