/**
 * Other threads of this process: Node's own, which a program that forks and waits for signals has no use for. sigaction(2),
 * tgkill(2), pause(2).
 */
import { readdirSync, readFileSync } from 'node:fs'
import { declare, declareRaw, symbolAddress } from './libc.ffi.ts'
import { signalNumbers } from './signals.table.ts'

const cSigaction = declare('sigaction', 'int sigaction(int number, void *action, void *old)', (number) => `${number}`)
const cTgkill = declareRaw('int tgkill(int group, int thread, int number)')

/** struct sigaction of glibc: the handler, a mask of 128 bytes, flags, the restorer. */
const sizeofSigaction = 152
const maskAt = 8
const maskSize = 128

const sleeper = new Int32Array(new SharedArrayBuffer(4))
const wait = (): void => {
  Atomics.wait(sleeper, 0, 0, 0.05)
}

const otherThreads = (): string[] => readdirSync('/proc/self/task').filter((thread) => Number(thread) !== process.pid)

/** A field of proc_pid_status(5); undefined for a thread that has ended. */
function statusOf(thread: string, field: string): string | undefined {
  try {
    return new RegExp(`^${field}:\\s+(\\S+)`, 'm').exec(readFileSync(`/proc/self/task/${thread}/status`, 'latin1'))?.[1]
  } catch {
    return undefined
  }
}

/** One that is just starting may hold the lock of malloc(3): it must not be stopped, nor a child be forked, right then. */
const sleeps = (thread: string): boolean => ['S', undefined].includes(statusOf(thread, 'State'))

function holdsSignals(thread: string): boolean {
  const blocked = statusOf(thread, 'SigBlk')
  return blocked === undefined || (BigInt(`0x${blocked}`) & (1n << BigInt(signalNumbers.SIGTERM - 1))) !== 0n
}

/**
 * Returns when every other thread sleeps for good, with all signals held back: each is sent one whose handler is pause(2)
 * itself, with a full mask. Without that a thread takes signals away from a signalfd(2), or ends the process by them: Node
 * clears the mask that it is started with, so whoever starts it cannot prevent that.
 */
export function parkOtherThreads(): void {
  const threads = otherThreads()
  while (!threads.every(sleeps)) wait()
  const before = Buffer.alloc(sizeofSigaction)
  const action = Buffer.alloc(sizeofSigaction)
  action.writeBigUInt64LE(symbolAddress('pause'), 0)
  action.fill(0xff, maskAt, maskAt + maskSize)
  cSigaction(signalNumbers.SIGUSR2, action, before)
  for (const thread of threads) cTgkill(process.pid, Number(thread), signalNumbers.SIGUSR2)
  while (!threads.every(holdsSignals)) wait()
  cSigaction(signalNumbers.SIGUSR2, before, null)
}
