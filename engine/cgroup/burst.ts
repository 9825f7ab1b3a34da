/** What a group may use beyond its quota, saved from earlier periods; sched-bwc.rst "Burst feature". */
import { existsSync } from 'node:fs'
import { isErrno } from '../kernel/libc.ffi.ts'
import { limit, write } from './files.ts'

/**
 * Never above the quota: a smaller one goes before a smaller quota, a larger one after a larger quota. Which it is shows
 * by trying, around the work on the quota.
 */
export function applyBurst(file: string, burst: number | undefined, applyQuota: () => void): void {
  // Kernels before 5.14 have none, which is what 0 asks for.
  if (burst === undefined || (burst === 0 && !existsSync(file))) {
    applyQuota()
    return
  }
  let later = false
  try {
    write(file, burst)
  } catch (error) {
    if (!isErrno(error, 'EINVAL')) limit(file, burst)
    later = true
  }
  applyQuota()
  if (later) limit(file, burst)
}
