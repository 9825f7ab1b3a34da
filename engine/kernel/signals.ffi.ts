/** Signals: sigprocmask(2), signalfd(2), dispositions. */
import { makeCalls, type SystemCall, systemCall } from './call-sequence.ffi.ts'
import { declare, declarePlain } from './libc.ffi.ts'
import { signalNumbers } from './signals.table.ts'

// The libc wrapper hides the two real-time signals it uses itself; the raw call takes the kernel's 8-byte mask.
const cSigprocmask = declare('sigprocmask', 'int pthread_sigmask(int how, void *set, void *old)')
const cSignalfd = declare('signalfd', 'int signalfd(int fd, void *mask, int flags)')
const cSignal = declarePlain('intptr_t signal(int number, intptr_t handler)')

const SIG_BLOCK = 0
const SIG_SETMASK = 2
const SFD_NONBLOCK = 0o4000
const SFD_CLOEXEC = 0o2000000
const SIG_DFL = 0
const SIG_IGN = 1

/** glibc's sigset_t is 128 bytes; the kernel uses the first 8. */
const setOf = (signals: readonly number[]): Buffer => {
  const set = Buffer.alloc(128)
  let mask = 0n
  for (const signal of signals) mask |= 1n << BigInt(signal - 1)
  set.writeBigUInt64LE(mask, 0)
  return set
}

/** Holds signals back, to be read from a `signalDescriptor`. */
export const blockSignals = (signals: readonly number[]): void => {
  cSigprocmask(SIG_BLOCK, setOf(signals), null)
}

/** A descriptor that becomes readable when one of the (blocked) signals is pending; signalfd(2). */
export const signalDescriptor = (signals: readonly number[]): number =>
  cSignalfd(-1, setOf(signals), SFD_NONBLOCK | SFD_CLOEXEC)

const nothing = Buffer.allocUnsafeSlow(32).fill(0)

/**
 * Gives a process about to execve what a fresh program expects: nothing blocked, every disposition the default; ignored
 * signals are inherited through execve(2), and Node ignores SIGPIPE. rt_sigaction(2) as the kernel has it: SIG_DFL, no
 * flags, an empty mask.
 */
export const resetSignalsCalls: readonly SystemCall[] = [
  ...Array.from({ length: 64 }, (_, index) => index + 1)
    .filter((number) => number !== signalNumbers.SIGKILL && number !== signalNumbers.SIGSTOP)
    .map((number) => systemCall('rt_sigaction', [number, nothing, 0, 8], { detail: `of ${number}`, fixed: true })),
  systemCall('rt_sigprocmask', [SIG_SETMASK, nothing, 0, 8]),
]

/** `resetSignalsCalls` at once. */
export const resetSignals = (): void => {
  makeCalls(resetSignalsCalls)
}

/** Does a work while no signal can arrive. */
export function holdingSignals<T>(work: () => T): T {
  const before = Buffer.alloc(128)
  cSigprocmask(SIG_SETMASK, Buffer.alloc(128, 0xff), before)
  try {
    return work()
  } finally {
    cSigprocmask(SIG_SETMASK, before, null)
  }
}

export const ignoreSignal = (signal: number): void => {
  cSignal(signal, SIG_IGN)
}

export const defaultSignal = (signal: number): void => {
  cSignal(signal, SIG_DFL)
}

/** Reads what a `signalDescriptor` has, into a buffer of `signalInfoSize`; struct signalfd_siginfo begins with the number. */
export const signalInfoSize = 128
export const signalNumberIn = (info: Buffer): number => info.readUInt32LE(0)
