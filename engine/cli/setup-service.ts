/**
 * Keeps the installed engine running: a systemd service and socket where systemd runs this machine, elsewhere a
 * process of its own session with its number in a file. Stopping either leaves shims and containers alone.
 */
import { execFileSync, spawn } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { request } from 'node:http'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EngineError, messageOf } from '../base/errors.ts'
import { assertRootOwned, replaceFile } from './setup-place.ts'

/** As kept in PLACE/setup.json. The socket belongs to the uid `user` and the gid `group`. */
export type Settings = {
  user: number
  group: number
  socket: string
  root: string
  execRoot: string
  clientMounts: 'own' | 'any'
  usernsRemap?: string
}

export type Service = {
  readonly kind: 'systemd' | 'process'
  start(): Promise<void>
  /** Returns when the daemon is gone. */
  stop(): Promise<void>
  /** Stops, and removes what made it start at boot. */
  remove(): Promise<void>
  running(): boolean
}

const unitDirectory = '/etc/systemd/system'

/** Node's own: a daemon that waits for most of its life needs a small heap more than rare collections. */
export const leanNode = ['--max-semi-space-size=1', '--optimize-for-size']

/**
 * glibc's: without it each thread keeps what it had in an arena of its own, 15 MiB after a pull. It is read before the first
 * thread starts, so the daemon cannot ask for it itself; mallopt(3).
 */
export const leanEnvironment = { MALLOC_ARENA_MAX: '1' }

/** The daemon's own command line. */
export const daemonWords = (place: string, { root, execRoot, socket, ...settings }: Settings): string[] => [
  ...[join(place, 'current', 'bin', 'node'), ...leanNode, join(place, 'current', 'main.js'), 'engine'],
  ...['--root', root, '--exec-root', execRoot, '--socket', socket],
  ...['--user', String(settings.user), '--group', String(settings.group), '--client-mounts', settings.clientMounts],
  ...(settings.usernsRemap === undefined ? [] : ['--userns-remap', settings.usernsRemap]),
]

/** Words of a unit file: quotes and backslashes escaped, % and $ doubled; systemd.service(5). */
const unitWord = (word: string): string =>
  /^[\w@+=:,./-]+$/.test(word)
    ? word
    : `"${word.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`

/**
 * KillMode=process and Delegate=yes: containers live in cgroups below the service's and outlive it.
 * DelegateSubgroup=daemon (systemd 254; older ones say that they do not know it, and go on): the service's own group has
 * no process then, and a restart finds its way in while containers are there.
 * The socket unit holds connections while the daemon restarts, and starts it on the first one.
 */
export function unitFiles(place: string, settings: Settings): Record<string, string> {
  const words = daemonWords(place, settings).map(unitWord).join(' ')
  const environment = Object.entries(leanEnvironment).map((pair) => pair.join('='))
  return {
    'drydock.service': `[Unit]
Description=Drydock container engine
After=network-online.target drydock.socket
Wants=network-online.target
Requires=drydock.socket

[Service]
Type=exec
ExecStart=${words}
KillMode=process
Delegate=yes
DelegateSubgroup=daemon
Restart=on-failure
RestartSec=1
Environment=${environment.join(' ')}
LimitNOFILE=1048576
LimitCORE=0
TasksMax=infinity
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
Also=drydock.socket
`,
    'drydock.socket': `[Unit]
Description=Drydock API socket

[Socket]
ListenStream=${unitWord(settings.socket)}
SocketMode=0660
SocketUser=${settings.user}
SocketGroup=${settings.group}
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`,
  }
}

function systemctl(...args: string[]): string {
  try {
    return execFileSync('systemctl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
  } catch (error) {
    const { stderr } = error as { stderr?: string }
    throw new EngineError('unavailable', `systemctl ${args.join(' ')}: ${stderr?.trim() || messageOf(error)}`, {
      cause: error,
    })
  }
}

const succeeds = (work: () => unknown): boolean => {
  try {
    work()
    return true
  } catch {
    return false
  }
}

function systemdService(place: string, settings: Settings): Service {
  const files = unitFiles(place, settings)
  return {
    kind: 'systemd',
    running: () => succeeds(() => systemctl('is-active', '--quiet', 'drydock.service')),
    async start() {
      for (const [name, text] of Object.entries(files)) replaceFile(join(unitDirectory, name), text)
      systemctl('daemon-reload')
      systemctl('enable', '--quiet', 'drydock.socket', 'drydock.service')
      systemctl('restart', 'drydock.socket', 'drydock.service')
    },
    async stop() {
      if (existsSync(join(unitDirectory, 'drydock.service'))) systemctl('stop', 'drydock.socket', 'drydock.service')
    },
    async remove() {
      if (!existsSync(join(unitDirectory, 'drydock.service'))) return
      systemctl('disable', '--quiet', '--now', 'drydock.socket', 'drydock.service')
      for (const name of Object.keys(files)) rmSync(join(unitDirectory, name), { force: true })
      systemctl('daemon-reload')
    },
  }
}

/** When the process started, in ticks since boot (field 22 of proc_pid_stat(5)): with it a number means one process. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

function processService(place: string, settings: Settings): Service {
  const pidFile = join(settings.execRoot, 'setup.pid')
  const logFile = join(settings.root, 'engine.log')
  const pid = (): number | undefined => {
    const [number, time] = succeeds(() => lstatSync(pidFile)) ? readFileSync(pidFile, 'utf8').split(' ') : []
    return number !== undefined && time !== undefined && startTime(Number(number)) === time ? Number(number) : undefined
  }
  const service: Service = {
    kind: 'process',
    running: () => pid() !== undefined,
    async start() {
      await service.stop()
      for (const directory of [settings.root, settings.execRoot]) {
        assertRootOwned(directory)
        mkdirSync(directory, { recursive: true, mode: 0o711 })
      }
      const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW
      const log = openSync(logFile, flags, 0o640)
      const [program = '', ...args] = daemonWords(place, settings)
      const child = spawn(program, args, {
        cwd: '/',
        detached: true,
        stdio: ['ignore', log, log],
        env: daemonEnvironment(),
      })
      closeSync(log)
      await new Promise((settle, fail) => child.once('spawn', settle).once('error', fail))
      replaceFile(pidFile, `${child.pid} ${startTime(child.pid ?? 0)}`)
      child.unref()
    },
    async stop() {
      const running = pid()
      if (running === undefined) return
      process.kill(running, 'SIGTERM')
      for (let waited = 0; pid() === running; waited += 50) {
        if (waited > 20_000) throw new EngineError('unavailable', `the engine (process ${running}) does not end`)
        await sleep(50)
      }
      rmSync(pidFile, { force: true })
    },
    async remove() {
      await service.stop()
      rmSync(logFile, { force: true })
    },
  }
  return service
}

/** Nothing of the user's: a variable like NODE_OPTIONS would run code of theirs as root. */
const daemonEnvironment = (): Record<string, string> => ({
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  ...leanEnvironment,
  ...Object.fromEntries(
    ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy']
      .map((name) => [name, process.env[name]])
      .filter((pair): pair is [string, string] => pair[1] !== undefined),
  ),
})

export const service = (place: string, settings: Settings): Service =>
  existsSync('/run/systemd/system') ? systemdService(place, settings) : processService(place, settings)

/** Whether the engine answers at its socket. */
export function answers(socketPath: string): Promise<boolean> {
  return new Promise((settle) => {
    const outgoing = request({ socketPath, path: '/_ping', timeout: 5000 }, (response) => {
      response.resume()
      settle(response.statusCode === 200)
    })
    outgoing.once('timeout', () => outgoing.destroy())
    outgoing.once('error', () => settle(false))
    outgoing.end()
  })
}

/** Resolves when the engine answers; rejects with the end of its log when it ends before, or after 30 s. */
export async function untilAnswering(running: Service, settings: Settings): Promise<void> {
  for (let waited = 0; waited < 30_000; waited += 50) {
    if (await answers(settings.socket)) return
    if (running.kind === 'process' && !running.running()) break
    await sleep(50)
  }
  throw new EngineError('unavailable', `the engine does not answer at ${settings.socket}${logTail(running, settings)}`)
}

function logTail(running: Service, settings: Settings): string {
  if (running.kind === 'systemd') return ': see journalctl -u drydock'
  const log = join(settings.root, 'engine.log')
  if (!succeeds(() => statSync(log))) return ''
  return `, its log (${log}) ends with:\n${readFileSync(log, 'utf8').trimEnd().split('\n').slice(-10).join('\n')}`
}

/** The socket's directory has to be root's: in one of a user's, root would follow the user's links. */
export const assertSocketPlace = (socket: string): void => assertRootOwned(dirname(socket))
