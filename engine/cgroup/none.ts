/** No control group: for containers of an ordinary user on a machine that delegates none. */
import { EngineError } from '../base/errors.ts'
import type { OciResources } from '../spec/oci.ts'
import type { Cgroup, CgroupUse } from './cgroup.ts'

const refuse = (what: string): never => {
  throw new EngineError('unavailable', `${what}: the container has no control group`)
}

export class NoCgroup implements Cgroup {
  readonly version: 1 | 2
  readonly path = ''
  readonly directories = {}

  /** What the machine has, which decides what a mount of cgroup shows. */
  constructor(version: 1 | 2) {
    this.version = version
  }

  create(): void {}

  /** What was not asked for needs no group; a limit cannot be kept without one. Device rules only ever take away. */
  apply(resources: OciResources): void {
    const { devices: _devices, ...limits } = resources
    const asked = Object.entries(limits).filter(([, value]) => value !== undefined && Object.keys(value).length > 0)
    if (asked.length > 0) refuse(`linux.resources.${asked[0]![0]}`)
  }

  enter(): void {}

  readonly doors = []

  processes(): number[] {
    return refuse('processes')
  }

  freeze(): void {
    refuse('pause')
  }

  thaw(): void {
    refuse('resume')
  }

  frozen(): boolean {
    return false
  }

  kill(): void {}

  use(): CgroupUse {
    return refuse('statistics')
  }

  oomKills(): number {
    return 0
  }

  memoryLimited(): boolean {
    return false
  }

  remove(): void {}
}
