/** Who a process is and what it may: setresuid(2), setgroups(2), capset(2), prctl(2), prlimit(2). */

import { callSequence, type SystemCall } from './call-sequence.ffi.ts'
import { capabilityNumbers } from './capabilities.table.ts'
import { declare, declarePlain, declareRaw, SyscallError } from './libc.ffi.ts'

// The thread has no siblings (forked, single-threaded), so libc's wrappers and the kernel's calls agree.
const cSetresuid = declare(
  'setresuid',
  'int setresuid(unsigned int r, unsigned int e, unsigned int s)',
  (uid) => `${uid}`,
)
const cSetresgid = declare(
  'setresgid',
  'int setresgid(unsigned int r, unsigned int e, unsigned int s)',
  (gid) => `${gid}`,
)
const cSetgroups = declare('setgroups', 'int setgroups(size_t count, void *list)', (count) => `of ${count}`)
const cCapget = declare('capget', 'int capget(void *header, void *data)')
const cPrctl = declare(
  'prctl',
  'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
  (option, a, b) => `option ${option} (${a}, ${b})`,
)
const cPrctlRaw = declareRaw(
  'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
)
const cPrlimit = declare(
  'prlimit',
  'int prlimit(int pid, int resource, void *limit, void *old)',
  (pid, resource) => `${resource} of ${pid}`,
)
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

let last: number | undefined

/** The highest capability this kernel knows, so that one older than our table still works. */
export function lastCapability(): number {
  if (last !== undefined) return last
  let number = 0
  while (number < 63 && cPrctlRaw(PR_CAPBSET_READ, number + 1, 0, 0, 0) >= 0) number += 1
  last = number
  return number
}

/** Takes away for good, from the bounding set, all that is not in `keep`. */
export function dropBoundingExcept(keep: bigint): void {
  for (let number = 0; number <= lastCapability(); number += 1)
    if ((keep & (1n << BigInt(number))) === 0n) cPrctl(PR_CAPBSET_DROP, number, 0, 0, 0)
}

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
  const known = (1n << BigInt(lastCapability() + 1)) - 1n
  const header = Buffer.allocUnsafeSlow(8).fill(0)
  header.writeUInt32LE(LINUX_CAPABILITY_VERSION_3, 0)
  const data = Buffer.allocUnsafeSlow(24).fill(0)
  for (const [index, mask] of [sets.effective, sets.permitted, sets.inheritable].entries()) {
    data.writeUInt32LE(Number(mask & known & 0xffffffffn), index * 4)
    data.writeUInt32LE(Number((mask & known) >> 32n), 12 + index * 4)
  }
  return { name: 'capset', args: [header, data], failure: (errno) => new SyscallError('capset', errno, '') }
}

/** `capabilitiesCall` at once. */
export const setCapabilities = (sets: CapabilitySets): void => {
  callSequence([capabilitiesCall(sets)])()
}

/** Exactly these ambient ones; each must be permitted and inheritable already. PR_CAP_AMBIENT(2const). */
export function ambientCalls(mask: bigint): SystemCall[] {
  const call = (...args: number[]): SystemCall => ({
    name: 'prctl',
    args: [PR_CAP_AMBIENT, ...args, 0, 0],
    failure: (errno) => new SyscallError('prctl', errno, `PR_CAP_AMBIENT (${args.join(', ')})`),
  })
  const numbers = Array.from({ length: lastCapability() + 1 }, (_, number) => number)
  return [
    call(PR_CAP_AMBIENT_CLEAR_ALL, 0),
    ...numbers
      .filter((number) => (mask & (1n << BigInt(number))) !== 0n)
      .map((number) => call(PR_CAP_AMBIENT_RAISE, number)),
  ]
}

/** Whether permitted capabilities outlive the change away from user 0; cleared by execve. */
export const keepCapabilities = (keep: boolean): void => {
  cPrctl(PR_SET_KEEPCAPS, keep ? 1 : 0, 0, 0, 0)
}

export const setUser = (uid: number): void => {
  cSetresuid(uid, uid, uid)
}

export const setGroup = (gid: number): void => {
  cSetresgid(gid, gid, gid)
}

export function setSupplementaryGroups(gids: readonly number[]): void {
  const list = Buffer.alloc(Math.max(gids.length * 4, 4))
  for (const [index, gid] of gids.entries()) list.writeUInt32LE(gid, index * 4)
  cSetgroups(gids.length, list)
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
  return {
    name: 'prlimit64',
    args: [pid, resource, limit, 0],
    failure: (errno) => new SyscallError('prlimit', errno, `${resource} of ${pid}`),
  }
}

/** `resourceLimitCall` at once. */
export const setResourceLimit = (pid: number, resource: number, soft: number, hard: number): void => {
  callSequence([resourceLimitCall(pid, resource, soft, hard)])()
}

/** What is set now; -1 is no limit. `pid` 0 is the caller. */
export function resourceLimit(pid: number, resource: number): { soft: number; hard: number } {
  const limit = Buffer.alloc(16)
  cPrlimit(pid, resource, null, limit)
  const value = (at: number): number => Number(BigInt.asIntN(64, limit.readBigUInt64LE(at)))
  return { soft: value(0), hard: value(8) }
}

/** umask(2); the one before. */
export const setFileCreationMask = (mask: number): number => Number(cUmask(mask))
