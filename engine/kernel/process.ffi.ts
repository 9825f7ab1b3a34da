/** Processes: fork(2), clone3(2), execve(2), waitid(2), pidfd_open(2), prctl(2). */

import { CallSequence, makeCalls, type SystemCall, systemCall } from './call-sequence.ffi.ts'
import { errnoNumbers } from './errno.table.ts'
import { type Argument, addressOf, declare, declarePlain, declareRaw, SyscallError } from './libc.ffi.ts'
import { holdingSignals } from './signals.ffi.ts'

const cWaitid = declareRaw('int waitid(int idtype, int id, void *info, int options)')
const cExit = declarePlain('void _exit(int status)')
const cKill = declare('kill', 'int kill(int pid, int signal)', (pid, signal) => `${pid} with signal ${signal}`)
const cPrctl = declare(
  'prctl',
  'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
  (option) => `option ${option}`,
)
const prctlName = declare('prctl', 'int prctl(int option, const char *name)', () => 'PR_SET_NAME')
const pidfdCall = declare('pidfd', 'long syscall(long number, long a, long b, void *c, long d)', (_n, a) => `of ${a}`)
const cGetpid = declarePlain('int getpid()')

const SYS_PIDFD_SEND_SIGNAL = 424
const SYS_PIDFD_OPEN = 434
const MADV_DOFORK = 11

/** Flags of clone3(2) beside the namespace kinds (namespaces.ffi.ts). */
export const cloneFlags = {
  CLONE_VM: 0x100n,
  CLONE_PIDFD: 0x1000n,
  CLONE_VFORK: 0x4000n,
  CLONE_PARENT: 0x8000n,
  CLONE_INTO_CGROUP: 0x200000000n,
} as const

type Range = readonly [start: bigint, length: bigint]

const addressSpaceEnd = 0x7ffffffff000n

/**
 * The whole user address space less the kernel's own mappings, which refuse madvise(2). They are mapped once by
 * execve(2) and stay where they are, so the answer holds for the process and everything forked from it.
 *
 * @param maps the text of /proc/self/maps; proc_pid_maps(5)
 */
export function forkableRanges(maps: string): readonly Range[] {
  const ranges: Range[] = []
  let start = 0x10000n
  for (const line of maps.split('\n')) {
    if (!/\[(vvar|vdso|vvar_vclock|vsyscall)\]|io_uring/.test(line)) continue
    const [from, to] = line
      .split(' ', 1)[0]!
      .split('-')
      .map((hex) => BigInt(`0x${hex}`)) as [bigint, bigint]
    if (from >= addressSpaceEnd) continue
    if (from > start) ranges.push([start, from - start])
    start = to
  }
  ranges.push([start, addressSpaceEnd - start])
  return ranges
}

const cloneArgs = Buffer.allocUnsafeSlow(88).fill(0)
/** Written by the kernel. */
const childPidfd = Buffer.allocUnsafeSlow(4).fill(0)
let fork: CallSequence | undefined

/** Reads the memory map, once. Must run before the first `clone`, in a process started with UV_USE_IO_URING=0. */
export function prepareFork(maps: string): void {
  // ENOMEM of madvise only says that there are holes between the mappings: the rest is done.
  const advise = forkableRanges(maps).map(([start, length]) =>
    systemCall('madvise', [start, length, MADV_DOFORK], { tolerates: ['ENOMEM', 'EINVAL'] }),
  )
  fork = new CallSequence([
    ...advise,
    { name: 'clone3', args: [cloneArgs, cloneArgs.length], failure: (errno) => cloneFailure(errno) },
  ])
}

export type CloneRequest = {
  /** Namespace kinds and `cloneFlags`, or-ed. */
  readonly flags: bigint
  /** A directory descriptor of a cgroup v2; needs CLONE_INTO_CGROUP. */
  readonly cgroup?: number
}

const SIGCHLD = 17n

/**
 * clone3(2) without a new stack, as fork(2) does it. Returns the child's pid to the parent and 0 to the child.
 *
 * Precondition: the process has one thread (`node --single-threaded`) and `prepareFork` has run. The child must not
 * return to the event loop: it shares libuv's epoll descriptor with its parent. It works with synchronous calls
 * until `execve` or `exit`.
 */
export function clone(request: CloneRequest): { pid: number; pidfd: number } {
  if (fork === undefined) throw new Error('clone: prepareFork has not been called')
  fillCloneArgs(request)
  const pid = Number(fork.run())
  const named = pid !== 0 && (request.flags & cloneFlags.CLONE_PIDFD) !== 0n
  return { pid, pidfd: named ? childPidfd.readInt32LE(0) : -1 }
}

const cloneFailure = (errno: number): SyscallError =>
  new SyscallError('clone3', errno, `with flags 0x${cloneArgs.readBigUInt64LE(0).toString(16)}`)

/** The calls of a row need no stack; the kernel wants one. */
const rowStack = 4096

/**
 * A process that makes a row of calls in the caller's own memory, the last of them an execve(2), with no copy made of
 * anything; clone(2), CLONE_VM. Whether that came to pass `calls.failure` says once a descriptor that closes at execve
 * is closed.
 *
 * Precondition: the row itself unblocks signals, which it begins with all of them blocked, and resets their dispositions.
 */
export function cloneRow(request: CloneRequest, calls: CallSequence): { pid: number; pidfd: number } {
  const stack = Buffer.allocUnsafeSlow(rowStack)
  fillCloneArgs({ ...request, flags: request.flags | cloneFlags.CLONE_VM | cloneFlags.CLONE_PIDFD })
  cloneArgs.writeBigUInt64LE(addressOf(stack), 40)
  cloneArgs.writeBigUInt64LE(BigInt(rowStack), 48)
  // A handler of Node's would run in the new process, too, on this stack.
  const pid = holdingSignals(() => calls.spawn(cloneArgs, stack))
  if (pid < 0) throw cloneFailure(-pid)
  return { pid, pidfd: childPidfd.readInt32LE(0) }
}

function fillCloneArgs({ flags, cgroup }: CloneRequest): void {
  cloneArgs.fill(0)
  cloneArgs.writeBigUInt64LE(flags, 0)
  cloneArgs.writeBigUInt64LE(addressOf(childPidfd), 8)
  // With CLONE_PARENT the exit signal must be 0: it is inherited from the caller.
  if ((flags & cloneFlags.CLONE_PARENT) === 0n) cloneArgs.writeBigUInt64LE(SIGCHLD, 32)
  if (cgroup !== undefined) cloneArgs.writeBigUInt64LE(BigInt(cgroup), 80)
}

/** The texts, each with its null, and a null-terminated list of where they are. */
function textList(texts: readonly string[]): { list: Buffer; bytes: Buffer } {
  const parts = texts.map((text) => Buffer.from(`${text}\0`))
  const bytes = Buffer.allocUnsafeSlow(parts.reduce((sum, { length }) => sum + length, 1))
  const list = Buffer.allocUnsafeSlow((texts.length + 1) * 8).fill(0)
  const start = addressOf(bytes)
  let at = 0
  for (const [index, part] of parts.entries()) {
    list.writeBigUInt64LE(start + BigInt(at), index * 8)
    at += part.copy(bytes, at)
  }
  return { list, bytes }
}

/** Executes the first of `paths` that is there and may be executed; execve(2). */
export function executeCalls(
  paths: readonly string[],
  argv: readonly string[],
  environment: readonly string[],
): SystemCall[] {
  const [args, variables] = [textList(argv), textList(environment)]
  return paths.map((path, index) =>
    systemCall('execve', [Buffer.from(`${path}\0`), args.list, variables.list], {
      holds: [args.bytes, variables.bytes],
      detail: JSON.stringify(path),
      tolerates: index < paths.length - 1 ? ['ENOENT', 'ENOTDIR', 'EACCES'] : [],
    }),
  )
}

/** Replaces the program; returns only by throwing. */
export function execve(path: string, argv: readonly string[], environment: readonly string[]): never {
  makeCalls(executeCalls([path], argv, environment))
  throw new Error('execve returned')
}

/** _exit(2): no handlers, no flushing; the only way out of a forked child. */
export function exit(status: number): never {
  cExit(status)
  throw new Error('_exit returned')
}

export type ChildExit = {
  pid: number
  /** 0–255 as exited, or 128 + the signal that ended it. */
  exitCode: number
  /** The signal, when one ended it. */
  signal?: number
}

const WNOHANG = 1
const WNOWAIT = 0x01000000
const WEXITED = 4
const CLD_EXITED = 1
const P_ALL = 0
const P_PID = 1
const siginfo = Buffer.alloc(128)

/**
 * Reaps one child: any (`pid` absent) or a given one. Undefined where none has ended (with `block` false) or there are
 * no children at all; waitid(2).
 */
export function reap(options: { pid?: number; block?: boolean } = {}): ChildExit | undefined {
  const flags = WEXITED | (options.block === true ? 0 : WNOHANG)
  let result: number
  do {
    siginfo.fill(0)
    result = cWaitid(options.pid === undefined ? P_ALL : P_PID, options.pid ?? 0, siginfo, flags)
  } while (result === -errnoNumbers.EINTR)
  if (result < 0) return undefined
  const pid = siginfo.readInt32LE(16)
  if (pid === 0) return undefined
  const code = siginfo.readInt32LE(8)
  const status = siginfo.readInt32LE(24)
  return code === CLD_EXITED ? { pid, exitCode: status } : { pid, exitCode: 128 + status, signal: status }
}

/** Whether there is one, living or waiting to be reaped. */
export const hasChildren = (): boolean => cWaitid(P_ALL, 0, siginfo, WEXITED | WNOHANG | WNOWAIT) === 0

export const sendSignal = (pid: number, signal: number): void => {
  cKill(pid, signal)
}

/** Starts a session with the caller as its leader and no controlling terminal; setsid(2). */
export const sessionCall: SystemCall = systemCall('setsid', [])

/** `sessionCall` at once. */
export const startSession = (): void => {
  makeCalls([sessionCall])
}

export const currentPid = (): number => Number(cGetpid())

/** A descriptor (close-on-exec) that names the process for as long as it is open; pidfd_open(2). */
export const pidfdOpen = (pid: number): number => pidfdCall(SYS_PIDFD_OPEN, pid, 0, null, 0)

/** pidfd_send_signal(2): cannot hit a later process of the same pid. */
export const pidfdSendSignal = (pidfd: number, signal: number): void => {
  pidfdCall(SYS_PIDFD_SEND_SIGNAL, pidfd, signal, null, 0)
}

const PR_SET_PDEATHSIG = 1
const PR_SET_DUMPABLE = 4
const PR_SET_NAME = 15
const PR_SET_CHILD_SUBREAPER = 36
const PR_SET_NO_NEW_PRIVS = 38

/** A signal to be sent to the caller when its parent thread ends; cleared by a set-user-ID execve. */
export const parentDeathCall = (signal: number): SystemCall =>
  systemCall('prctl', [PR_SET_PDEATHSIG, signal, 0, 0, 0], { detail: 'PR_SET_PDEATHSIG' })

/** `parentDeathCall` at once. */
export const setParentDeathSignal = (signal: number): void => {
  makeCalls([parentDeathCall(signal)])
}
/** Not dumpable: /proc/PID is owned by root and closed to ptrace(2) from less privileged processes. */
export const setDumpable = (dumpable: boolean): Argument => cPrctl(PR_SET_DUMPABLE, dumpable ? 1 : 0, 0, 0, 0)
/** Orphans below the caller become its children; PR_SET_CHILD_SUBREAPER(2const). */
export const becomeSubreaper = (): Argument => cPrctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
/** From here on execve grants nothing; cannot be undone. PR_SET_NO_NEW_PRIVS(2const). */
export const noNewPrivilegesCall: SystemCall = systemCall('prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], {
  detail: 'PR_SET_NO_NEW_PRIVS',
})
/** The thread's name as ps(1) shows it: at most 15 bytes. */
export const setProcessName = (name: string): Argument => prctlName(PR_SET_NAME, name)

const SYS_PIDFD_GETFD = 438

/** A copy (close-on-exec) of another process's descriptor; needs the right to trace it. pidfd_getfd(2), Linux 5.6. */
export const borrowDescriptor = (pidfd: number, descriptor: number): number =>
  pidfdCall(SYS_PIDFD_GETFD, pidfd, descriptor, null, 0)
