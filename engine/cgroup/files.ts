/** cgroupfs and /proc as text: one value a file, one write a change. cgroups(7). */
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { EngineError, messageOf } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'

/** Undefined where there is no such file: an older kernel, a controller that is not enabled, or a group that is gone. */
export function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    // ENODEV: the group was removed between open and read. ENOTSUP: memory.pressure and the like, switched off at boot.
    if (isErrno(error, 'ENOENT', 'ENODEV', 'ENOTSUP', 'EOPNOTSUPP')) return undefined
    throw error
  }
}

/** `max`, and what v1 counts as no limit (2^63 less a page), are undefined, as is a missing file. */
export function readNumber(path: string): number | undefined {
  const text = read(path)?.trim()
  if (text === undefined || text === '' || text === 'max') return undefined
  const value = Number(text)
  return value >= 2 ** 62 ? undefined : value
}

/** Whether a group on the way up, from `directory` itself to the hierarchy's root, has a limit in its file of that name. */
export function limitedUpwards(directory: string, file: string): boolean {
  for (let group = directory; ; group = dirname(group)) {
    const path = `${group}/${file}`
    if (readNumber(path) !== undefined) return true
    // Neither a limit nor the controller: at or above the root, or in a group that none was handed to.
    if (!existsSync(path) && !existsSync(`${group}/cgroup.procs`)) return false
  }
}

/** `name value` lines: memory.stat, cpu.stat, memory.events. A missing file has no lines. */
export function readKeyed(path: string): Record<string, number> {
  const fields: Record<string, number> = {}
  for (const line of (read(path) ?? '').split('\n')) {
    const space = line.indexOf(' ')
    if (space > 0) fields[line.slice(0, space)] = Number(line.slice(space + 1))
  }
  return fields
}

/** As it is; Node's error (with its errno name) says which file. No O_CREAT, or a missing file would read EACCES. */
export function write(path: string, ...values: (string | number)[]): void {
  const descriptor = openSync(path, constants.O_WRONLY)
  try {
    for (const value of values) writeSync(descriptor, String(value))
  } finally {
    closeSync(descriptor)
  }
}

/** Limits asked for by a user: what the kernel refuses is invalid, what it does not have is unavailable. */
export function limit(path: string, ...values: (string | number)[]): void {
  try {
    write(path, ...values)
  } catch (error) {
    const what = `setting ${path} to ${values.join(', then ')}`
    if (isErrno(error, 'ENOENT', 'ENOTSUP', 'EOPNOTSUPP'))
      throw new EngineError('unavailable', `${what}: this kernel has no such limit`, { cause: error })
    if (isErrno(error, 'EINVAL', 'ERANGE', 'EBUSY', 'ENODEV', 'EACCES', 'EPERM', 'ENOSPC'))
      throw new EngineError('invalid', `${what}: ${messageOf(error)}`, { cause: error })
    throw error
  }
}

/** Directories inside: the groups below. */
export function children(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENODEV')) return []
    throw error
  }
}

/** Pids in the group and below it, each once. Those of a foreign pid namespace read as 0 and are left out. */
export function processesBelow(directory: string): number[] {
  const found = new Set<number>()
  const visit = (path: string): void => {
    // ENOTSUP: a threaded group; its processes are listed in the domain above.
    for (const line of (read(`${path}/cgroup.procs`) ?? '').split('\n')) if (Number(line) > 0) found.add(Number(line))
    for (const name of children(path)) visit(`${path}/${name}`)
  }
  visit(directory)
  return [...found]
}

const sleeper = new Int32Array(new SharedArrayBuffer(4))

/** Blocks the thread: for the short waits of a forked child, which has no event loop. */
export const pause = (milliseconds: number): void => {
  Atomics.wait(sleeper, 0, 0, milliseconds)
}

/** Asks until it is so or the time is over; says which. */
export function waitUntil(condition: () => boolean, timeout: number): boolean {
  const end = performance.now() + timeout
  for (let delay = 0.2; ; delay = Math.min(delay * 2, 10)) {
    if (condition()) return true
    if (performance.now() >= end) return false
    pause(delay)
  }
}

/** EBUSY, for a group that has processes or groups in it; undefined when it is gone. */
function removeOne(directory: string): unknown {
  try {
    rmdirSync(directory)
  } catch (error) {
    if (isErrno(error, 'EBUSY')) return error
    if (!isErrno(error, 'ENOENT')) throw error
  }
  return undefined
}

const removePatience = 1000

/**
 * The group, and before it those below. A process that is exiting keeps it busy for a moment after it has left the list.
 */
export function removeTree(directory: string): void {
  if (removeOne(directory) === undefined) return
  for (const name of children(directory)) removeTree(`${directory}/${name}`)
  let refusal: unknown
  const gone = waitUntil(() => {
    refusal = removeOne(directory)
    return refusal === undefined
  }, removePatience)
  if (!gone)
    throw new EngineError('conflict', `cannot remove the control group ${directory}: processes are in it`, {
      cause: refusal,
    })
}

/** Says whether it is new. The groups above are made as well. */
export function makeGroup(directory: string): boolean {
  try {
    mkdirSync(directory)
    return true
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false
    if (!isErrno(error, 'ENOENT')) throw error
    mkdirSync(directory, { recursive: true })
    return true
  }
}
