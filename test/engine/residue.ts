/** For tests: what an engine has on the machine outside of its records, so that a failure can be seen to leave nothing. */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { instanceNames } from '../../engine/network/instance-names.ts'
import type { TestEngine } from './engine.ts'

const idIn = /[0-9a-f]{64}/

const names = (path: string): string[] =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? readdirSync(path) : []

const containers = (what: string, path: string): string[] =>
  names(path)
    .filter((name) => /^[0-9a-f]{64}$/.test(name))
    .map((name) => `${what} ${name}`)

/** Everything that the engine has, sorted: files, mounts, links on its bridge, control groups and processes. */
export function residue(engine: TestEngine): string[] {
  const [root, execRoot] = [join(engine.directory, 'root'), join(engine.directory, 'run')]
  const bridge = instanceNames(root).defaultBridge
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((target) => target.startsWith(execRoot) || target.startsWith(`${root}/`))
  return [
    ...containers('state', join(root, 'containers')),
    ...containers('bundle', join(execRoot, 'containers')),
    ...containers('namespace', join(execRoot, 'netns')),
    ...containers('blob', join(root, 'blobs', 'sha256')),
    ...names(join(root, 'volumes'))
      .filter((name) => name !== '.trash')
      .map((name) => `volume ${name}`),
    ...names(join(root, 'ingest')).map((name) => `ingest ${name}`),
    ...names(join(root, 'snapshots'))
      .filter((name) => /^\d+$/.test(name))
      .map((name) => `snapshot ${name}`),
    ...names(join(root, 'snapshots', 'trash')).map((name) => `trash ${name}`),
    ...names(`/sys/class/net/${bridge}/brif`).map((name) => `link ${name}`),
    ...mounts.map((target) => `mount ${target}`),
    ...supervisors(engine).map((pid) => `supervisor ${pid}`),
  ].sort()
}

/** Processes that hold a file of a container of this engine: supervisors. The daemon itself is none. */
export function supervisors(engine: TestEngine): number[] {
  return names('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== engine.pid)
    .map(Number)
    .filter((pid) => {
      try {
        return readdirSync(`/proc/${pid}/fd`).some((fd) => {
          const target = readlinkSync(`/proc/${pid}/fd/${fd}`)
          return target.startsWith(engine.directory) && idIn.test(target)
        })
      } catch {
        return false
      }
    })
}

/** Control groups of these containers, in any hierarchy. */
export function groupsOf(ids: Iterable<string>): string[] {
  const roots = ['/sys/fs/cgroup', ...names('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name))]
  const parents = roots.flatMap((root) =>
    names(root)
      .filter((name) => name === 'drydock' || name.startsWith('drydock-'))
      .map((name) => join(root, name)),
  )
  return [...ids].flatMap((id) => parents.map((parent) => join(parent, id)).filter((path) => existsSync(path)))
}

/**
 * Reads until it is as wanted: trees are deleted in the background, and a killed process takes its time to go. A minute for what
 * takes milliseconds: in an emulated machine beside others it has taken more than ten seconds.
 */
export async function settled<T>(read: () => T, done: (value: T) => boolean, patience = 60_000): Promise<T> {
  const last = Date.now() + patience
  for (;;) {
    const value = read()
    if (done(value) || Date.now() > last) return value
    await sleep(20)
  }
}

/** The residue once it is what it was, or what it still is after a minute. */
export function residueLike(engine: TestEngine, before: readonly string[]): Promise<string[]> {
  const text = before.join('\n')
  return settled(
    () => residue(engine),
    (now) => now.join('\n') === text,
  )
}
