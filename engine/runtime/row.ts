/** What the rows of a container's first process (init-row.ts) and of a further one (exec-row.ts) have in common. */
import { closeSync, constants, openSync } from 'node:fs'
import type { Cgroup } from '../cgroup/cgroup.ts'
import type { CallSequence, SystemCall } from '../kernel/call-sequence.ffi.ts'
import { closeFromCall, placeCall } from '../kernel/descriptors.ffi.ts'
import { fileTypes, giveCall, statusOf } from '../kernel/paths.ffi.ts'
import { cloneFlags, cloneRow } from '../kernel/process.ffi.ts'
import { seccompCall } from '../kernel/seccomp.ffi.ts'
import { resetSignalsCalls } from '../kernel/signals.ffi.ts'
import type { OciProcess, OciSpec } from '../spec/oci.ts'
import { filterOf } from './compiled-filter.ts'
import { surrenderCalls } from './credentials.ts'
import type { StandardStreams } from './request.ts'

export type RowQuestion = { process: OciProcess; spec: OciSpec; cgroup: Cgroup; preserved?: number }

/** Whether nothing is asked for that takes more than calls. */
export function fitsAnyRow({ process, spec, cgroup, preserved }: RowQuestion): boolean {
  const { scheduler, ioPriority, execCPUAffinity } = process
  const { personality, memoryPolicy } = spec.linux ?? {}
  const special = [preserved, scheduler, ioPriority, execCPUAffinity, personality, memoryPolicy]
  return (
    process.terminal !== true &&
    special.every((field) => field === undefined) &&
    filterOf(spec)?.notify !== true &&
    // Who is killed for want of memory takes along who shares its own: in a group with a limit the new process, which weighs
    // as much as its maker, would be chosen first.
    !cgroup.memoryLimited()
  )
}

/** Throws what clone3(2) says. */
export function cloneRowInto(cgroup: Cgroup, flags: bigint, row: CallSequence): { pid: number; pidfd: number } {
  if (cgroup.birthplace === undefined) return cloneRow({ flags }, row)
  const group = openSync(cgroup.birthplace, constants.O_DIRECTORY)
  try {
    return cloneRow({ flags: flags | cloneFlags.CLONE_INTO_CGROUP, cgroup: group }, row)
  } finally {
    closeSync(group)
  }
}

/** 0 to 2 are the streams, what is kept until execve(2) is 3 and so on, and that is all. */
export function descriptorCalls(
  { stdin, stdout, stderr }: StandardStreams,
  uid: number,
  kept: readonly number[],
): SystemCall[] {
  const streams = [stdin, stdout, stderr]
  return [
    ...streams.map((from, to) => placeCall(from, to)),
    ...kept.map((from, index) => placeCall(from, 3 + index, true)),
    closeFromCall(3 + kept.length),
    // The null device is everybody's.
    ...streams.flatMap((fd, to) =>
      (statusOf(fd).mode & fileTypes.S_IFMT) === fileTypes.S_IFIFO ? [giveCall(to, uid)] : [],
    ),
  ]
}

/** The powers go; execve(2) is next. */
export function farewellCalls(process: OciProcess, spec: OciSpec, available: bigint): SystemCall[] {
  const filter = filterOf(spec)
  const { beforeFilter, behindFilter } = surrenderCalls(process, available)
  return [
    ...resetSignalsCalls,
    ...beforeFilter,
    ...(filter === undefined ? [] : [seccompCall(filter)]),
    ...behindFilter,
  ]
}
