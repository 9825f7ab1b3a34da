/** Who a process is and what it may: setresuid(2), setgroups(2), capset(2), prctl(2), prlimit(2). */

import { type SystemCall, systemCall } from './call-sequence.ffi.ts'
import { capabilityNumbers } from './capabilities.table.ts'
import { declare, declarePlain, declareRaw } from './libc.ffi.ts'

const cCapget = declare('capget', 'int capget(void *header, void *data)')
const cPrctlRaw = declareRaw(
  'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
)
const cPrlimit = declare(
  'prlimit',
  'int prlimit(int pid, int resource, void *limit, void *old)',
  (pid, resource) => `${resource} of ${pid}`,
)
const cGetgroups = declare('getgroups', 'int getgroups(int size, void *list)')
const cUmask = declarePlain('unsigned int umask(unsigned int mask)')

const PR_SET_KEEPCAPS = 8
const PR_CAPBSET_READ = 23
const PR_CAPBSET_DROP = 24
const PR_CAP_AMBIENT = 47
const PR_CAP_AMBIENT_RAISE = 2
const PR_CAP_AMBIENT_CLEAR_ALL = 4
const LINUX_CAPABILITY_VERSION_3 = 0x20080522

export type CapabilitySets = { effective: bigint; permitted: bigint; inheritable: bigint }

/** The bit mask of the names that this kernel knows; the others are told apart. */
export function capabilityMask(names: readonly string[]): { mask: bigint; unknown: string[] } {
  let mask = 0n
  const unknown: string[] = []
  for (const name of names) {
    const number = (capabilityNumbers as Record<string, number>)[name]
    if (number === undefined || number > lastCapability()) unknown.push(name)
    else mask |= 1n << BigInt(number)
  }
  return { mask, unknown }
}

/** The caller's, as they are: Node's own function adds the effective one. getgroups(2). */
export function supplementaryGroups(): number[] {
  const list = Buffer.alloc(Number(cGetgroups(0, null)) * 4)
  cGetgroups(list.length / 4, list)
  return Array.from({ length: list.length / 4 }, (_, index) => list.readUInt32LE(index * 4))
}

let last: number | undefined

/** The highest capability this kernel knows, so that one older than our table still works. */
export function lastCapability(): number {
  if (last !== undefined) return last
  let number = 0
  while (number < 63 && cPrctlRaw(PR_CAPBSET_READ, number + 1, 0, 0, 0) >= 0) number += 1
  last = number
  return number
}

// Those that follow act on the calling thread: it has no siblings (forked, single-threaded), so that it is the process.

const control = (option: number, ...args: number[]): SystemCall =>
  systemCall('prctl', [option, ...args, ...[0, 0, 0, 0].slice(args.length)], {
    detail: `option ${option} (${args.join(', ')})`,
  })

const capabilitiesIn = (mask: bigint): number[] =>
  Array.from({ length: lastCapability() + 1 }, (_, number) => number).filter(
    (number) => (mask & (1n << BigInt(number))) !== 0n,
  )

/** All that this kernel has. */
export const everyCapability = (): bigint => (1n << BigInt(lastCapability() + 1)) - 1n

const dropBoundingCall: readonly SystemCall[] = Array.from({ length: 64 }, (_, number) => ({
  ...control(PR_CAPBSET_DROP, number),
  fixed: true,
}))

/** Takes away for good, from the bounding set, all that is not in `keep`. */
export const dropBoundingCalls = (keep: bigint): SystemCall[] =>
  capabilitiesIn(~keep & everyCapability()).map((number) => dropBoundingCall[number]!)

/** What the caller has been given to use; capget(2). Root on some machines lacks a few. */
export function permittedCapabilities(): bigint {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(LINUX_CAPABILITY_VERSION_3, 0)
  const data = Buffer.alloc(24)
  cCapget(header, data)
  return BigInt(data.readUInt32LE(4)) | (BigInt(data.readUInt32LE(16)) << 32n)
}

/** The caller's own sets; what the kernel does not know is left out. capset(2). */
export function capabilitiesCall(sets: CapabilitySets): SystemCall {
  const known = everyCapability()
  const header = Buffer.allocUnsafeSlow(8).fill(0)
  header.writeUInt32LE(LINUX_CAPABILITY_VERSION_3, 0)
  const data = Buffer.allocUnsafeSlow(24).fill(0)
  for (const [index, mask] of [sets.effective, sets.permitted, sets.inheritable].entries()) {
    data.writeUInt32LE(Number(mask & known & 0xffffffffn), index * 4)
    data.writeUInt32LE(Number((mask & known) >> 32n), 12 + index * 4)
  }
  return systemCall('capset', [header, data])
}

/** Exactly these ambient ones; each must be permitted and inheritable already. PR_CAP_AMBIENT(2const). */
export const ambientCalls = (mask: bigint): SystemCall[] => [
  control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL),
  ...capabilitiesIn(mask).map((number) => control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number)),
]

/** Whether permitted capabilities outlive the change away from user 0; cleared by execve. */
export const keepCapabilitiesCall = (keep: boolean): SystemCall => control(PR_SET_KEEPCAPS, keep ? 1 : 0)

export const userCall = (uid: number): SystemCall => systemCall('setresuid', [uid, uid, uid], { detail: `${uid}` })

export const groupCall = (gid: number): SystemCall => systemCall('setresgid', [gid, gid, gid], { detail: `${gid}` })

/** Only the real ones, for which access(2) answers; -1 leaves one alone. */
export const realUserCall = (uid: number): SystemCall => systemCall('setresuid', [uid, -1, -1], { detail: `${uid}` })

export const realGroupCall = (gid: number): SystemCall => systemCall('setresgid', [gid, -1, -1], { detail: `${gid}` })

export function supplementaryGroupsCall(gids: readonly number[]): SystemCall {
  const list = Buffer.allocUnsafeSlow(Math.max(gids.length * 4, 4))
  for (const [index, gid] of gids.entries()) list.writeUInt32LE(gid, index * 4)
  return systemCall('setgroups', [gids.length, list], { detail: `of ${gids.length}` })
}

/** getrlimit(2) resources by the OCI name. */
export const resourceLimits: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
}

/** RLIM_INFINITY is 2^64-1: in JSON it may be -1 or a number that rounds to 2^64. */
const limitBits = (value: number): bigint => (value < 0 || value >= 2 ** 63 ? 2n ** 64n - 1n : BigInt(value))

/** -1 is no limit. `pid` 0 is the caller. */
export function resourceLimitCall(pid: number, resource: number, soft: number, hard: number): SystemCall {
  const limit = Buffer.allocUnsafeSlow(16)
  limit.writeBigUInt64LE(limitBits(soft), 0)
  limit.writeBigUInt64LE(limitBits(hard), 8)
  return systemCall('prlimit64', [pid, resource, limit, 0], { detail: `${resource} of ${pid}` })
}

/** What is set now; -1 is no limit. `pid` 0 is the caller. */
export function resourceLimit(pid: number, resource: number): { soft: number; hard: number } {
  const limit = Buffer.alloc(16)
  cPrlimit(pid, resource, null, limit)
  const value = (at: number): number => Number(BigInt.asIntN(64, limit.readBigUInt64LE(at)))
  return { soft: value(0), hard: value(8) }
}

export const fileCreationMaskCall = (mask: number): SystemCall => systemCall('umask', [mask])

/** `fileCreationMaskCall` at once; the one before. umask(2). */
export const setFileCreationMask = (mask: number): number => Number(cUmask(mask))
