/** A virtual machine with a kernel of its own and cgroup v2, and what can be told to it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { project, runDirectory } from './cache.ts'

export type Mode = 'plain' | 'nested' | 'systemd'

/** A program that the machine's own one talks to, once its socket is there. */
export type Server = { command: readonly string[]; socket: string }

export type Start = {
  servers?: readonly Server[]
  command: readonly string[]
  /** Of the process; PATH and the like go to it as they are. */
  env?: Readonly<Record<string, string>>
  directory?: string
}

export type Bed = {
  readonly name: string
  readonly modes: readonly Mode[]
  /** Shell variables for init.sh, beside `project` and `mode`. */
  readonly settings: Readonly<Record<string, string>>
  /** How the guest is started with `job` as its /job. */
  start(job: string): Start
}

/** Kernel parameters of both. `init=` and what follows: a disk that knows nothing of this project mounts its job, and goes on there. */
export const kernelWords = (mountJob: string): string[] => [
  ...['rw', 'quiet', 'loglevel=3', 'panic=-1', 'init=/bin/sh'],
  ...['systemd.show_status=0', 'systemd.log_target=null'],
  ...['--', '-c', `"mount -t proc proc /proc; mkdir -p /job; ${mountJob} /job; exec sh /job/init.sh"`],
]

const exitLine = /drydock-vm-exit=(\d+)/

/** The guest's processes are processes here: a group of their own, so that all of them end together. */
function end(guest: ChildProcess): void {
  try {
    process.kill(-(guest.pid as number), 'SIGKILL')
  } catch {
    // It has ended.
  }
}

async function untilThere(path: string, server: ChildProcess): Promise<void> {
  while (!existsSync(path)) {
    if (server.exitCode !== null || server.signalCode !== null) throw new Error(`${server.spawnargs[0]} ended at once`)
    await sleep(10)
  }
}

async function spawnAll(
  { servers = [], command, env = {}, directory }: Start,
  cleanup: DisposableStack,
): Promise<ChildProcess> {
  const start = async (
    [program = '', ...words]: readonly string[],
    output: 'pipe' | 'ignore',
  ): Promise<ChildProcess> => {
    const child = spawn(program, words, {
      stdio: ['ignore', output, 'inherit'],
      env: { ...process.env, ...env },
      detached: true,
      ...(directory === undefined ? {} : { cwd: directory }),
    })
    cleanup.defer(() => end(child))
    await once(child, 'spawn')
    return child
  }
  for (const server of servers) await untilThere(server.socket, await start(server.command, 'ignore'))
  return start(command, 'pipe')
}

async function watch(guest: ChildProcess, say: (chunk: string) => void): Promise<number | undefined> {
  let output = ''
  guest.stdout?.setEncoding('utf8')
  for await (const chunk of guest.stdout as AsyncIterable<string>) {
    const text = chunk.replaceAll('\r', '')
    say(text)
    output = (output + text).slice(-10_000)
  }
  const code = exitLine.exec(output)?.[1]
  return code === undefined ? undefined : Number(code)
}

export type Outcome = { code: number | undefined; seconds: number }

/**
 * Runs a shell script in the guest, in the project's directory, and passes on what it writes. /job in the guest is a
 * directory that both can write; `collect` sees it before it goes. No code: the guest ended by itself, or by time.
 */
export async function runInGuest(
  bed: Bed,
  mode: Mode,
  script: string,
  { minutes, say, collect }: { minutes: number; say(chunk: string): void; collect(job: string): void },
): Promise<Outcome> {
  using cleanup = new DisposableStack()
  const place = cleanup.use(runDirectory())
  const settings = { project, mode, bed: bed.name, ...bed.settings }
  const assignments = Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`)
  writeFileSync(join(place.path, 'settings'), assignments.join(''))
  writeFileSync(join(place.path, 'job.sh'), `${script}\n`)
  copyFileSync(join(import.meta.dirname, 'init.sh'), join(place.path, 'init.sh'))
  const leave = (): void => {
    cleanup.dispose()
    process.exit(130)
  }
  process.once('SIGINT', leave).once('SIGTERM', leave)
  cleanup.defer(() => process.off('SIGINT', leave).off('SIGTERM', leave))
  const began = performance.now()
  const guest = await spawnAll(bed.start(place.path), cleanup)
  const timer = setTimeout(() => end(guest), minutes * 60_000)
  cleanup.defer(() => clearTimeout(timer))
  const code = await watch(guest, say)
  collect(place.path)
  return { code, seconds: (performance.now() - began) / 1000 }
}
