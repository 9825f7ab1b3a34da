/**
 * `runtime.cjs --image FILE`: keeps the command line as it is before it knows its command, warm, as a file for the launcher
 * (docs/decisions/0017). Whatever is asked for later happens in another process than this one: what this one is or has,
 * but for its memory, is asked for anew.
 */
import { constants, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { EngineError } from '../../base/errors.ts'
import { close, isOpen, pipe, read } from '../../kernel/descriptors.ffi.ts'
import { errnoName } from '../../kernel/errno.table.ts'
import { tryLock } from '../../kernel/lock.ffi.ts'
import { collectYoung } from '../../kernel/memory.ffi.ts'
import { clone, exit, reap, sendSignal } from '../../kernel/process.ffi.ts'
import { busyPages, prepareStandstill, standStill, writeImage } from '../../kernel/process-image.ffi.ts'
import { hasImages } from '../../kernel/process-image.ts'
import { ignoreSignal, resetSignals } from '../../kernel/signals.ffi.ts'
import { signalNumbers } from '../../kernel/signals.table.ts'
import type { Call } from './call.ts'
import { Rehearsal } from './rehearse-verbs.ts'

/** As the launcher counts. */
const mostDescriptors = 999

/** Returns only where it has begun again, with what it was called with there. */
export async function begunAgain(file: string, serve: (words: readonly string[]) => Promise<number>): Promise<Call> {
  if (!hasImages(process.arch)) throw new EngineError('unavailable', `there are no images for ${process.arch}`)
  if (process.geteuid?.() !== 0) throw new EngineError('forbidden', 'an image is made by root: nobody else may use it')
  lockProgram()
  const busy = await warm(`${file}.rehearsal`, serve)
  const still = prepareStandstill()
  const { readEnd, writeEnd } = pipe()
  const child = clone({ flags: 0n })
  if (child.pid === 0) return settle(standStill(still, writeEnd))
  close(writeEnd)
  try {
    if (read(readEnd, Buffer.alloc(1)) !== 1) throw new Error('the process to be kept has ended')
    keep(file, (fd) => writeImage(child.pid, still, { file: fd, checked: ownFiles(), busy }))
  } finally {
    sendSignal(child.pid, signalNumbers.SIGKILL)
    reap({ pid: child.pid, block: true })
  }
  return exit(0)
}

/** Answers what is used of the memory that is kept; in here, so that whatever begins again has nothing to clean up. */
async function warm(place: string, serve: (words: readonly string[]) => Promise<number>): Promise<Buffer> {
  using rehearsal = await Rehearsal.begin(place, serve)
  await rehearsal.everything()
  collectYoung()
  collectYoung()
  return await usedBy(() => rehearsal.run())
}

/** One at a time makes an image of a program: the lock goes with the process. */
function lockProgram(): void {
  if (!tryLock(openSync(process.argv[1] ?? '', 'r'))) throw new EngineError('conflict', 'it is being made right now')
}

/** What a process that begins as this one is now uses of its memory for a work. */
async function usedBy(work: () => Promise<void>): Promise<Buffer> {
  const { readEnd, writeEnd } = pipe()
  const child = clone({ flags: 0n })
  if (child.pid === 0) {
    await work()
    writeFileSync(writeEnd, busyPages())
    exit(0)
  }
  close(writeEnd)
  const busy = readFileSync(readEnd)
  close(readEnd)
  if (reap({ pid: child.pid, block: true })?.exitCode !== 0) throw new Error('a rehearsal of what is used has failed')
  return busy
}

/** The program's text. */
function ownFiles(): string[] {
  const script = process.argv[1] ?? ''
  return [script, join(dirname(script), 'runtime-main.cjs')]
}

/** Whole or not there, and nobody else's to read: it is the memory of a program of root's. */
function keep(file: string, write: (fd: number) => void): void {
  const beside = `${file}.new`
  rmSync(beside, { force: true })
  const fd = openSync(beside, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
  try {
    write(fd)
    renameSync(beside, file)
  } catch (error) {
    rmSync(beside, { force: true })
    throw error
  } finally {
    close(fd)
  }
}

/** What a Node does when it starts, and the launcher does for one that starts; in a process that is like a new one. */
function settle(failure: number): Call {
  for (const fd of [0, 1, 2]) if (!isOpen(fd)) openSync('/dev/null', 'r+')
  if (failure !== 0) {
    writeSync(2, `drydock-runtime: /proc/self/exe cannot be made the sealed program: ${errnoName(failure)}\n`)
    exit(1)
  }
  resetSignals()
  for (const signal of [signalNumbers.SIGPIPE, signalNumbers.SIGXFSZ]) ignoreSignal(signal)
  // Node remembers where it was.
  process.chdir('.')
  let inherited = 0
  while (inherited < mostDescriptors && isOpen(3 + inherited)) inherited += 1
  const [name = '', ...words] = readFileSync('/proc/self/cmdline', 'utf8').split('\0').slice(0, -1)
  return { program: basename(name), inherited, words, kept: true }
}
