/**
 * What tests may leave behind on the machine: mounts, interfaces, control groups, namespaces, processes, temporary
 * files. Taken before and after; processes of the run itself are known by a word in their environment.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { root } from './toolchain.mjs'

const list = (directory) => {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

const text = (path) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

const processes = () => list('/proc').filter((name) => /^\d+$/.test(name))

const mounts = () =>
  text('/proc/self/mountinfo')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const fields = line.split(' ')
      return `mount ${fields[4]} (${fields[fields.indexOf('-') + 1]})`
    })

/** Groups below `drydock`, which itself is common to all engines, and any other of such a name. */
function controlGroups() {
  const groups = (directory) =>
    list(directory)
      .map((name) => join(directory, name))
      .filter((path) => existsSync(join(path, 'cgroup.procs')))
  const found = (top) => groups(top).filter((path) => basename(path).startsWith('drydock'))
  const tops = ['/sys/fs/cgroup', ...list('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name))]
  return tops
    .flatMap(found)
    .flatMap((path) => (basename(path) === 'drydock' ? groups(path) : [path]))
    .map((path) => `control group ${path}`)
}

/** One entry for each, however many are in it, with somebody who is. */
function namespaces() {
  const found = new Map()
  for (const pid of processes())
    for (const kind of ['mnt', 'net', 'pid', 'ipc', 'uts', 'user', 'cgroup']) {
      try {
        const name = readlinkSync(`/proc/${pid}/ns/${kind}`)
        if (!found.has(name))
          found.set(name, `namespace ${name} of process ${pid} (${text(`/proc/${pid}/comm`).trim()})`)
      } catch {
        // Ended since, or of another user.
      }
    }
  return found
}

const commandOf = (pid) => text(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim()

/** An engine gives its spawner and the shims an environment of their own: they are known by the program they run. */
const programs = ['engine/shim/spawner.ts', 'dist/engine/spawner.js'].map((name) => join(root, name))
const isEngines = (pid) => programs.some((program) => commandOf(pid).includes(program))

const ownProcesses = (word, before) =>
  processes()
    .filter((pid) => Number(pid) !== process.pid)
    .filter((pid) => text(`/proc/${pid}/environ`).includes(word) || (isEngines(pid) && !before.has(pid)))
    .map((pid) => `process ${pid} (${commandOf(pid).slice(0, 120)})`)

const temporaries = () =>
  list(tmpdir())
    .filter((name) => name.startsWith('drydock-'))
    .map((name) => `temporary ${join(tmpdir(), name)}`)

const interfaces = () => list('/sys/class/net').map((name) => `interface ${name}`)

const take = () => ({
  things: [...mounts(), ...controlGroups(), ...interfaces(), ...temporaries()],
  namespaces: namespaces(),
})

/** Answers a function that lists what is there now and was not when this was called. */
export function watchForLeaks(word) {
  const before = take()
  const processesBefore = new Set(processes())
  return () => {
    const after = take()
    const known = [...before.things]
    const fresh = after.things.filter((thing) => {
      const at = known.indexOf(thing)
      if (at >= 0) known.splice(at, 1)
      return at < 0
    })
    const spaces = [...after.namespaces]
      .filter(([name]) => !before.namespaces.has(name))
      .map(([, sentence]) => sentence)
    return [...fresh, ...spaces, ...ownProcesses(word, processesBefore)]
  }
}
