/**
 * How the kernel treats a process among others: sched_setattr(2), ioprio_set(2), sched_setaffinity(2),
 * set_mempolicy(2), personality(2). All of the calling thread.
 */
import { arch } from 'node:process'
import { declare } from './libc.ffi.ts'

const numbers =
  arch === 'arm64'
    ? { sched_setattr: 274, ioprio_set: 30, set_mempolicy: 237 }
    : { sched_setattr: 314, ioprio_set: 251, set_mempolicy: 238 }

const schedSetattrCall = declare('sched_setattr', 'long syscall(long number, int pid, void *attr, unsigned int flags)')
const ioprioSetCall = declare(
  'ioprio_set',
  'long syscall(long number, int which, int who, int priority)',
  (_n, _which, _who, priority) => `${priority}`,
)
const setMempolicyCall = declare(
  'set_mempolicy',
  'long syscall(long number, int mode, void *nodes, unsigned long count)',
  (_n, mode) => `mode ${mode}`,
)
const cSetaffinity = declare('sched_setaffinity', 'int sched_setaffinity(int pid, size_t size, void *mask)')
const cPersonality = declare('personality', 'int personality(unsigned long persona)', (persona) => `${persona}`)

/** By the OCI name; sched(7). SCHED_ISO is a number that no kernel took up: it answers EINVAL. */
export const schedulerPolicies: Readonly<Record<string, number>> = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
}

export const schedulerFlags: Readonly<Record<string, number>> = {
  SCHED_FLAG_RESET_ON_FORK: 0x01,
  SCHED_FLAG_RECLAIM: 0x02,
  SCHED_FLAG_DL_OVERRUN: 0x04,
  SCHED_FLAG_KEEP_POLICY: 0x08,
  SCHED_FLAG_KEEP_PARAMS: 0x10,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40,
}

export type SchedulerAttributes = {
  policy: number
  flags: number
  /** -20 to 19; SCHED_OTHER and SCHED_BATCH. */
  nice: number
  /** 1 to 99; SCHED_FIFO and SCHED_RR. */
  priority: number
  /** Nanoseconds; SCHED_DEADLINE. */
  runtime: number
  deadline: number
  period: number
}

export function setScheduler(attributes: SchedulerAttributes): void {
  const struct = Buffer.alloc(56)
  struct.writeUInt32LE(struct.length, 0)
  struct.writeUInt32LE(attributes.policy, 4)
  struct.writeBigUInt64LE(BigInt(attributes.flags), 8)
  struct.writeInt32LE(attributes.nice, 16)
  struct.writeUInt32LE(attributes.priority, 20)
  struct.writeBigUInt64LE(BigInt(attributes.runtime), 24)
  struct.writeBigUInt64LE(BigInt(attributes.deadline), 32)
  struct.writeBigUInt64LE(BigInt(attributes.period), 40)
  schedSetattrCall(numbers.sched_setattr, 0, struct, 0)
}

export const ioPriorityClasses: Readonly<Record<string, number>> = {
  IOPRIO_CLASS_RT: 1,
  IOPRIO_CLASS_BE: 2,
  IOPRIO_CLASS_IDLE: 3,
}

const IOPRIO_WHO_PROCESS = 1
const IOPRIO_CLASS_SHIFT = 13

/** `priority` 0 (first) to 7. */
export const setIoPriority = (ioClass: number, priority: number): void => {
  ioprioSetCall(numbers.ioprio_set, IOPRIO_WHO_PROCESS, 0, (ioClass << IOPRIO_CLASS_SHIFT) | priority)
}

/** The bits of these numbers, in whole 8-byte words as the kernel wants them. */
function bitMask(members: readonly number[]): Buffer {
  const mask = Buffer.alloc((Math.floor(Math.max(0, ...members) / 64) + 1) * 8)
  for (const member of members) {
    const byte = member >> 3
    mask[byte] = (mask[byte] ?? 0) | (1 << (member & 7))
  }
  return mask
}

/** The processors the caller may run on. */
export const setAffinity = (processors: readonly number[]): void => {
  const mask = bitMask(processors)
  cSetaffinity(0, mask.length, mask)
}

export const memoryPolicyModes: Readonly<Record<string, number>> = {
  MPOL_DEFAULT: 0,
  MPOL_PREFERRED: 1,
  MPOL_BIND: 2,
  MPOL_INTERLEAVE: 3,
  MPOL_LOCAL: 4,
  MPOL_PREFERRED_MANY: 5,
  MPOL_WEIGHTED_INTERLEAVE: 6,
}

export const memoryPolicyFlags: Readonly<Record<string, number>> = {
  MPOL_F_STATIC_NODES: 1 << 15,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_NUMA_BALANCING: 1 << 13,
}

/** From which nodes memory comes; inherited by children and kept by execve(2). */
export const setMemoryPolicy = (mode: number, flags: number, nodes: readonly number[]): void => {
  const mask = nodes.length === 0 ? null : bitMask(nodes)
  // The kernel takes one bit less than it is told of.
  setMempolicyCall(numbers.set_mempolicy, mode | flags, mask, mask === null ? 0 : mask.length * 8 + 1)
}

/** `LINUX32` makes uname(2) show a 32-bit machine. */
export const personalityDomains: Readonly<Record<string, number>> = { LINUX: 0, LINUX32: 8 }

export const setPersonality = (domain: number): void => {
  cPersonality(domain)
}
