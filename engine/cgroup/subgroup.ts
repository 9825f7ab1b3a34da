/** Groups below a container's own, which its processes made: where a further process may be wanted. */
import { posix } from 'node:path'
import { EngineError, messageOf } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { currentPid } from '../kernel/process.ffi.ts'
import type { Cgroup } from './cgroup.ts'
import { write } from './files.ts'

/** By v1 controller, or under '' for every hierarchy: a path that counts from the container's group. */
export type Subgroups = ReadonlyMap<string, string>

/** `PATH`, or `CONTROLLER[,CONTROLLER]:PATH` any number of times. Throws invalid. */
export function parseSubgroups(texts: readonly string[]): Subgroups {
  const paths = new Map<string, string>()
  const refuse = (text: string, why: string): never => {
    throw new EngineError('invalid', `invalid --cgroup argument: ${text} (${why})`)
  }
  for (const text of texts) {
    const colon = text.indexOf(':')
    if (colon < 0) {
      if (texts.length > 1) refuse(text, 'missing <controller>: prefix')
      paths.set('', insidePath(text))
      continue
    }
    for (const controller of text.slice(0, colon).split(',')) {
      if (controller === '') refuse(text, 'empty <controller> prefix')
      if (paths.has(controller)) refuse(text, `controller ${controller} specified multiple times`)
      paths.set(controller, insidePath(text.slice(colon + 1)))
    }
  }
  return paths
}

/** What it names lies below the container's group, whatever links its processes cannot make in cgroupfs anyway. */
function insidePath(untrusted: string): string {
  const path = posix.normalize(untrusted.startsWith('/') ? `.${untrusted}` : untrusted)
  if (path === '..' || path.startsWith('../') || path.includes('\0'))
    throw new EngineError('invalid', `bad sub cgroup path: ${untrusted} is not a sub cgroup path`)
  return path.replace(/^\.\/?$/, '').replace(/\/$/, '')
}

/** The same group, entered at a place below it. Throws invalid for a controller that it has no directory of. */
export function enteredBelow(cgroup: Cgroup, subgroups: Subgroups): Cgroup {
  for (const controller of subgroups.keys())
    if (controller !== '' && cgroup.directories[controller] === undefined)
      throw new EngineError('invalid', `unknown controller ${controller} in --cgroup`)
  const places = new Map<string, string>()
  for (const [controller, directory] of Object.entries(cgroup.directories)) {
    const below = subgroups.get(controller) ?? subgroups.get('')
    if (below !== undefined || !places.has(directory)) places.set(directory, below ?? '')
  }
  const groups = [...places].map(([directory, below]) => (below === '' ? directory : `${directory}/${below}`))
  // Not assigned: some of them only have a getter there.
  return Object.create(cgroup, {
    enter: {
      value: (pid: number) => {
        for (const group of groups) enterAt(group, pid)
      },
    },
    doors: { value: groups.map((group) => `${group}/${cgroup.version === 2 ? 'cgroup.procs' : 'tasks'}`) },
    // On v2 it is the place itself that is wanted; beside v1 it is the container's own group on the other side.
    birthplace: { value: cgroup.version === 1 ? cgroup.birthplace : undefined },
  }) as Cgroup
}

function enterAt(directory: string, pid: number): void {
  try {
    write(`${directory}/cgroup.procs`, pid)
  } catch (error) {
    const why = isErrno(error, 'ENOENT')
      ? 'no such file or directory'
      : isErrno(error, 'EBUSY')
        ? 'device or resource busy'
        : messageOf(error)
    throw new EngineError(
      'invalid',
      `error adding pid ${pid === 0 ? currentPid() : pid} to cgroups: write ${directory}/cgroup.procs: ${why}`,
      { cause: error },
    )
  }
}
