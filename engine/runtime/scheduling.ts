/** How a container's process is treated among others: process.scheduler, ioPriority, execCPUAffinity; linux.memoryPolicy, personality. */
import { EngineError, messageOf } from '../base/errors.ts'
import {
  ioPriorityClasses,
  memoryPolicyFlags,
  memoryPolicyModes,
  personalityDomains,
  schedulerFlags,
  schedulerPolicies,
  setAffinity,
  setIoPriority,
  setMemoryPolicy,
  setPersonality,
  setScheduler,
} from '../kernel/scheduling.ffi.ts'
import { parseNumberList } from '../spec/number-list.ts'
import type { OciLinux, OciProcess } from '../spec/oci.ts'

/** What the kernel refuses is told by its field. */
function asked(field: string, value: unknown, work: () => void): void {
  try {
    work()
  } catch (error) {
    throw new EngineError('invalid', `${field}: cannot set ${JSON.stringify(value)}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** Far more than the kernel has: it takes those that there are, and of them what the control group allows. */
const everyProcessor = Array.from({ length: 1024 }, (_, index) => index)

/** What the caller of the command line was held to is none of the container's business. */
export function forgetAffinity(): void {
  try {
    setAffinity(everyProcessor)
  } catch {
    // A filter around the caller that denies the call: then the container stays where its caller is.
  }
}

const allOf = (numbers: Readonly<Record<string, number>>, names: readonly string[]): number =>
  names.reduce((all, name) => all | (numbers[name] ?? 0), 0)

/** The names are checked before (config-check.ts): a lookup cannot miss. */
export function applyScheduling({ scheduler, ioPriority }: OciProcess): void {
  if (scheduler !== undefined) {
    const { policy, flags = [], nice = 0, priority = 0, runtime = 0, deadline = 0, period = 0 } = scheduler
    const numbers = { policy: schedulerPolicies[policy]!, flags: allOf(schedulerFlags, flags) }
    asked('process.scheduler', scheduler, () => setScheduler({ ...numbers, nice, priority, runtime, deadline, period }))
  }
  if (ioPriority !== undefined)
    asked('process.ioPriority', ioPriority, () =>
      setIoPriority(ioPriorityClasses[ioPriority.class]!, ioPriority.priority ?? 0),
    )
}

/** Of a process that joins: `initial` before it enters the container's cgroup, `final` after. */
export function applyAffinity(process: OciProcess, moment: 'initial' | 'final'): void {
  const list = process.execCPUAffinity?.[moment]
  if (list !== undefined && list !== '')
    asked(`process.execCPUAffinity.${moment}`, list, () => setAffinity(parseNumberList(list)))
}

export function applyExecutionDomain({
  memoryPolicy,
  personality,
}: Pick<OciLinux, 'memoryPolicy' | 'personality'>): void {
  if (memoryPolicy !== undefined) {
    const { mode, nodes = '', flags = [] } = memoryPolicy
    asked('linux.memoryPolicy', memoryPolicy, () =>
      setMemoryPolicy(memoryPolicyModes[mode]!, allOf(memoryPolicyFlags, flags), parseNumberList(nodes)),
    )
  }
  if (personality !== undefined)
    asked('linux.personality', personality, () => setPersonality(personalityDomains[personality.domain]!))
}
