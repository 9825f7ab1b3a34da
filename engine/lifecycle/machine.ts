/** What limits are checked against: processors, memory nodes and block devices of this machine. */
import { readFileSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import type { Machine } from '../spec/limits.ts'
import type { OciDevice } from '../spec/oci.ts'

function text(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    // Kernels without NUMA have no list of memory nodes.
    if (isErrno(error, 'ENOENT')) return otherwise
    throw error
  }
}

let known: Machine | undefined

export const thisMachine = (): Machine => {
  known ??= {
    processors: availableParallelism(),
    cpus: text('/sys/devices/system/cpu/online', '0'),
    mems: text('/sys/devices/system/node/online', '0'),
    blockDevice: (path) => {
      const device = hostDevice(path)
      if (device?.type !== 'b') throw new EngineError('invalid', `${path} is not a block device`)
      return { major: device.major ?? 0, minor: device.minor ?? 0 }
    },
  }
  return known
}

/** gnu_dev_major(3), gnu_dev_minor(3) */
const numbersOf = (rdev: number): { major: number; minor: number } => {
  const device = BigInt(rdev)
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  }
}

/** A device node of the host as it will be in the container; undefined where the path is something else. */
export function hostDevice(path: string, inContainer = path): OciDevice | undefined {
  let stat: ReturnType<typeof statSync>
  try {
    stat = statSync(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR'))
      throw new EngineError(
        'invalid',
        `error gathering device information while adding custom device "${path}": no such file or directory`,
      )
    throw error
  }
  const type = stat.isBlockDevice() ? 'b' : stat.isCharacterDevice() ? 'c' : undefined
  if (type === undefined) return undefined
  return {
    type,
    path: inContainer,
    ...numbersOf(stat.rdev),
    fileMode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
  }
}
