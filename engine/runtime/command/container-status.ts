/** In which state a container is, from its record and from the kernel; runtime-spec runtime.md "State". */
import { readFileSync } from 'node:fs'
import type { Cgroup } from '../../cgroup/cgroup.ts'
import { isErrno } from '../../kernel/libc.ffi.ts'
import type { ContainerRecord, StateStore } from './state-store.ts'

export type ContainerStatus = 'created' | 'running' | 'paused' | 'stopped'

/** State letter and start time of a process; undefined where there is none. The name may hold anything, even `)`. */
export function processStat(pid: number): { state: string; startTime: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0]!, startTime: fields[19]! }
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined
    throw error
  }
}

/** Whether the first process is there, and no other with its number. One that nobody has reaped yet is gone. */
export function isAlive({ pid, startTime }: Pick<ContainerRecord, 'pid' | 'startTime'>): boolean {
  const stat = processStat(pid)
  return stat !== undefined && stat.startTime === startTime && stat.state !== 'Z' && stat.state !== 'X'
}

export function statusOf(record: ContainerRecord, store: StateStore, cgroup: Cgroup): ContainerStatus {
  if (!isAlive(record)) return 'stopped'
  if (cgroup.frozen()) return 'paused'
  return store.waitsForStart(record.id) ? 'created' : 'running'
}

/** The JSON of `state` and of a line of `list`; a stopped container has no process. */
export function stateView(record: ContainerRecord, status: ContainerStatus): Record<string, unknown> {
  const { ociVersion, id, pid, bundle, rootfs, created, spec } = record
  return {
    ociVersion,
    id,
    pid: status === 'stopped' ? 0 : pid,
    status,
    bundle,
    rootfs,
    created,
    ...(Object.keys(spec.annotations ?? {}).length === 0 ? {} : { annotations: spec.annotations }),
  }
}
