/** What a container's mounts may not cover. */
import { posix } from 'node:path'
import { EngineError } from '../base/errors.ts'
import { fileSystemType, fileSystemTypes } from '../kernel/paths.ffi.ts'

/** The parts of /proc that a mount may cover: lxcfs and the like do so. */
const coverable = new Set(
  [
    'cpuinfo',
    'diskstats',
    'meminfo',
    'stat',
    'swaps',
    'uptime',
    'loadavg',
    'slabinfo',
    'net/dev',
    'sys/kernel/ns_last_pid',
    'sys/crypto/fips_enabled',
  ].map((name) => `/proc/${name}`),
)

/**
 * Throws where a mount would hide the kernel's own /proc, which later steps and the container's user rely on; in place of
 * the whole only another /proc may come.
 *
 * @param source a descriptor of what is to be mounted, where there is one already
 */
export function refuseCoveringProc(target: number, destination: string, source?: number): void {
  if (coverable.has(destination)) return
  if (posix.normalize(`/${destination}/`) === '/proc/') {
    if (source !== undefined && fileSystemType(source) === fileSystemTypes.proc) return
    throw new EngineError(
      'forbidden',
      `${JSON.stringify(destination)} cannot be mounted because it is not of type proc`,
    )
  }
  if (fileSystemType(target) === fileSystemTypes.proc)
    throw new EngineError('forbidden', `${JSON.stringify(destination)} lies inside of /proc, which must not be covered`)
}
