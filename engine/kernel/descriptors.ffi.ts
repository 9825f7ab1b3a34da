/** Descriptors: dup3(2), pipe2(2), fcntl(2), close_range(2), poll(2). */
import { readdirSync, readlinkSync } from 'node:fs'
import { type SystemCall, systemCall } from './call-sequence.ffi.ts'
import { errnoNumbers } from './errno.table.ts'
import { declare, declareRaw } from './libc.ffi.ts'

const cDup3 = declare('dup3', 'int dup3(int from, int to, int flags)', (from, to) => `${from} to ${to}`)
const cPipe2 = declare('pipe2', 'int pipe2(void *ends, int flags)')
const cFcntl = declare(
  'fcntl',
  'int fcntl(int fd, int command, long argument)',
  (fd, command) => `${fd}, command ${command}`,
)
const cCloseRange = declare(
  'close_range',
  'long syscall(long number, unsigned int first, unsigned int last, unsigned int flags)',
)
const cGetFlags = declareRaw('int fcntl(int fd, int command)')
const cPoll = declareRaw('int poll(void *fds, unsigned long count, int timeout)')
const cRead = declareRaw('intptr_t read(int fd, void *buffer, size_t length)')
const cWrite = declareRaw('intptr_t write(int fd, void *buffer, size_t length)')
const cClose = declareRaw('int close(int fd)')

const O_CLOEXEC = 0o2000000
const O_NONBLOCK = 0o4000
const F_GETFD = 1
const F_SETFD = 2
const F_GETFL = 3
const F_SETFL = 4
const SYS_CLOSE_RANGE = 436

/** A pipe, both ends close-on-exec. */
export function pipe(): { readEnd: number; writeEnd: number } {
  const ends = Buffer.alloc(8)
  cPipe2(ends, O_CLOEXEC)
  return { readEnd: ends.readInt32LE(0), writeEnd: ends.readInt32LE(4) }
}

/** Puts a copy of `from` at the number `to`, which survives execve; works for from === to as well. */
export const placeAt = (from: number, to: number): void => {
  if (from === to) cFcntl(to, F_SETFD, 0)
  else cDup3(from, to, 0)
}

export const setCloseOnExec = (fd: number): void => {
  cFcntl(fd, F_SETFD, 1)
}

export const setNonBlocking = (fd: number, nonBlocking: boolean): void => {
  const flags = cFcntl(fd, F_GETFL, 0)
  cFcntl(fd, F_SETFL, nonBlocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK)
}

export const isOpen = (fd: number): boolean => cGetFlags(fd, F_GETFD) >= 0

const CLOSE_RANGE_CLOEXEC = 4

/** Closes every descriptor from `first` on, now or at execve; close_range(2), Linux 5.9. */
export const closeFrom = (first: number, when: 'now' | 'at execve' = 'now'): void => {
  cCloseRange(SYS_CLOSE_RANGE, first, 0xffffffff, when === 'now' ? 0 : CLOSE_RANGE_CLOEXEC)
}

/**
 * Closes what this process has open of a directory and of all below it, removed or not; proc_pid_fd(5). Precondition:
 * whoever opened it does not live any more.
 */
export function closeBelow(directory: string): void {
  for (const name of readdirSync('/proc/self/fd')) {
    let target: string
    try {
      target = readlinkSync(`/proc/self/fd/${name}`)
    } catch {
      // The one that the listing itself was read by.
      continue
    }
    if (`${target}/`.startsWith(`${directory}/`) || target === `${directory} (deleted)`) cClose(Number(name))
  }
}

/** `placeAt`, for a row of calls; `closing` at execve. */
export const placeCall = (from: number, to: number, closing = false): SystemCall =>
  from === to
    ? systemCall('fcntl', [to, F_SETFD, closing ? 1 : 0], { detail: `${to}` })
    : systemCall('dup3', [from, to, closing ? O_CLOEXEC : 0], { detail: `${from} to ${to}` })

/** `closeFrom`, for a row of calls. */
export const closeFromCall = (first: number): SystemCall =>
  systemCall('close_range', [first, 0xffffffff, 0], { detail: `from ${first}` })

/** One byte, whichever, into a pipe: a sign for who waits at its other end. */
export const signCall = (fd: number): SystemCall => systemCall('write', [fd, sign, 1], { detail: `${fd}` })

/** Waits for a sign. One whose process has the other end as well waits for ever where nobody gives it, not for an end. */
export const awaitSignCall = (fd: number): SystemCall => systemCall('read', [fd, signed, 1], { detail: `${fd}` })

const sign = Buffer.allocUnsafeSlow(1).fill(0)
const signed = Buffer.allocUnsafeSlow(1)

const AT_FDCWD = -100
const O_WRONLY = 1

/** One write into a file of the kernel's, for a row of calls; the file stays open. */
export function writeFileCalls(path: string, text: string): SystemCall[] {
  const bytes = Buffer.from(text)
  return [
    systemCall('openat', [AT_FDCWD, Buffer.from(`${path}\0`), O_WRONLY | O_CLOEXEC], { detail: path }),
    systemCall('write', [0, bytes, bytes.length], { continues: true, detail: path }),
  ]
}

/** The errno values a reader or writer goes on after. */
export const again = -errnoNumbers.EAGAIN
export const inputError = -errnoNumbers.EIO

/** read(2): bytes, 0 at the end, or -errno; EINTR is repeated. Nothing is allocated. */
export function read(fd: number, buffer: Buffer): number {
  for (;;) {
    const result = cRead(fd, buffer, buffer.length)
    if (result !== -errnoNumbers.EINTR) return result
  }
}

/** write(2): bytes taken, or -errno; EINTR is repeated. */
export function write(fd: number, buffer: Buffer): number {
  for (;;) {
    const result = cWrite(fd, buffer, buffer.length)
    if (result !== -errnoNumbers.EINTR) return result
  }
}

/** close(2), without a word when it was closed already. */
export const close = (fd: number): void => {
  cClose(fd)
}

export const pollEvents = { POLLIN: 1, POLLOUT: 4, POLLERR: 8, POLLHUP: 16, POLLNVAL: 32 } as const

/**
 * poll(2) over a table of struct pollfd that is filled in place, so that waiting allocates nothing: the loop of a shim
 * does little else for its whole life.
 */
export class PollSet {
  #table = Buffer.alloc(8 * 16)
  #count = 0

  clear(): void {
    this.#count = 0
  }

  /** Returns the slot to ask for with `events`. */
  add(fd: number, events: number): number {
    if ((this.#count + 1) * 8 > this.#table.length)
      this.#table = Buffer.concat([this.#table, Buffer.alloc(this.#table.length)])
    const at = this.#count * 8
    this.#table.writeInt32LE(fd, at)
    this.#table.writeInt16LE(events, at + 4)
    this.#table.writeInt16LE(0, at + 6)
    this.#count += 1
    return this.#count - 1
  }

  /** Milliseconds, -1 for ever. A signal ends the wait with nothing ready. */
  wait(timeout: number): number {
    const result = cPoll(this.#table, this.#count, timeout)
    if (result < 0 && result !== -errnoNumbers.EINTR)
      throw new Error(`poll of ${this.#count} descriptors: errno ${-result}`)
    if (result <= 0) for (let slot = 0; slot < this.#count; slot += 1) this.#table.writeInt16LE(0, slot * 8 + 6)
    return Math.max(result, 0)
  }

  events(slot: number): number {
    return this.#table.readInt16LE(slot * 8 + 6)
  }
}
