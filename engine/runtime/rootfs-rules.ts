/** What a container's mounts may not cover. */
import { statfsSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { procPath } from './in-root.ts'

const PROC_SUPER_MAGIC = 0x9fa0

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

/** Throws where a mount would hide the kernel's own /proc, which later steps and the container's user rely on. */
export function refuseCoveringProc(target: number, destination: string): void {
  if (destination === '/proc' || coverable.has(destination)) return
  if (statfsSync(procPath(target)).type === PROC_SUPER_MAGIC)
    throw new EngineError('forbidden', `${JSON.stringify(destination)} lies inside of /proc, which must not be covered`)
}
