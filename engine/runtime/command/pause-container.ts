/** `pause` and `resume`: the freezer of the container's control group. */
import { EngineError } from '../../base/errors.ts'
import type { Containers } from './containers.ts'
import type { ParsedFlags } from './flags.ts'

export function pauseVerb(containers: Containers, flags: ParsedFlags): number {
  const { cgroup, status } = containers.find(flags.args[0])
  if (status !== 'running' && status !== 'created') throw new EngineError('conflict', 'container not running')
  cgroup.freeze()
  return 0
}

export function resumeVerb(containers: Containers, flags: ParsedFlags): number {
  const { cgroup, status } = containers.find(flags.args[0])
  if (status !== 'paused') throw new EngineError('conflict', 'container not paused')
  cgroup.thaw()
  return 0
}
