/**
 * `drydock setup`: puts the engine where only root can write, keeps it running, and takes all of it away again.
 * It asks nothing and reads no password: whoever may run it as root has been asked by sudo or pkexec.
 */
import { existsSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { basename, isAbsolute, join, normalize } from 'node:path'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { EngineError, messageOf } from '../base/errors.ts'
import { parseHierarchies } from '../cgroup/detect.ts'
import { readSubordinateIds } from '../lifecycle/remap-files.ts'
import { loadProfile, removeProfile } from './setup-apparmor.ts'
import { stopContainers } from './setup-containers.ts'
import { renewRuntimeImage } from './setup-image.ts'
import {
  assertRootOwned,
  install,
  installed,
  linkCommand,
  removeOldVersions,
  replaceFile,
  type Source,
  unlinkCommand,
} from './setup-place.ts'
import { answers, assertSocketPlace, type Settings, service, untilAnswering } from './setup-service.ts'

/** Where an engine is installed, and the link that puts it on every user's PATH. */
export const usualPlace = '/opt/drydock'
export const usualCommand = '/usr/local/bin/drydock'

export type SetupContext = {
  place: string
  command: string
  /** What `install` copies: ownSource of setup-place.ts. */
  source: () => Source
  /** Takes interfaces, packet filter rules and control groups of the engine with these directories off the machine. */
  removeFromMachine: (directories: { root: string; execRoot: string }) => Promise<void>
  say: (line: string) => void
}

export const setupUsage = `Usage: drydock setup VERB
  install    copy this engine to ${usualPlace}, start it now and at boot
             --user UID       whom the socket belongs to (default: who called sudo)
             --group GID      whose members may use it, too (default: nobody's but root's)
             --client-mounts any  others than root mount any path of this machine (default: own, what they may read)
             --userns-remap WHO  containers in user namespaces: default, user[:group] or uid[:gid] (default: the machine's ids)
             --socket PATH    (default: /run/drydock/docker.sock)
             --root PATH      state (default: /var/lib/drydock)
             --exec-root PATH state of this boot (default: /run/drydock)
  start      start the installed engine
  stop       stop it; containers go on
  status     tell how it stands: exit code 0 running, 3 stopped, 4 not installed
  uninstall  stop the containers, remove the engine; --purge removes images, volumes and containers, too
  erase      remove all that an engine left in --root PATH and --exec-root PATH`

const flags = {
  user: { type: 'string' },
  group: { type: 'string' },
  'client-mounts': { type: 'string' },
  'userns-remap': { type: 'string' },
  socket: { type: 'string' },
  root: { type: 'string' },
  'exec-root': { type: 'string' },
  purge: { type: 'boolean' },
} as const
type Flags = {
  user?: string
  group?: string
  'client-mounts'?: string
  'userns-remap'?: string
  socket?: string
  root?: string
  'exec-root'?: string
  purge?: boolean
}

const flagsOf: Record<string, readonly (keyof Flags)[]> = {
  install: ['user', 'group', 'client-mounts', 'userns-remap', 'socket', 'root', 'exec-root'],
  start: [],
  stop: [],
  status: [],
  uninstall: ['purge', 'root', 'exec-root', 'socket'],
  erase: ['root', 'exec-root'],
}

/** The words after `setup`; answers the exit code. Throws EngineError. */
export async function setup(words: readonly string[], context: SetupContext): Promise<number> {
  const { verb, values } = parse(words)
  if (verb === 'status') return status(context)
  if (process.getuid?.() !== 0) throw new EngineError('forbidden', `setup ${verb} needs root: run it with sudo`)
  const verbs: Record<string, () => Promise<void>> = {
    install: () => installVerb(values, context),
    start: () => startVerb(context),
    stop: () => stopVerb(context),
    uninstall: () => uninstall(values, context),
    erase: () => eraseVerb(values, context),
  }
  await verbs[verb]?.()
  return 0
}

function parse(words: readonly string[]): { verb: string; values: Flags } {
  const [verb = '', ...rest] = words
  const allowed = flagsOf[verb]
  if (allowed === undefined)
    throw new EngineError(
      'invalid',
      `${verb === '' ? 'setup needs a verb' : `setup has no verb ${JSON.stringify(verb)}`}\n${setupUsage}`,
    )
  try {
    const { values } = parseArgs({ args: rest, options: flags, strict: true, allowPositionals: false })
    const wrong = Object.keys(values).find((name) => !allowed.includes(name as keyof Flags))
    if (wrong !== undefined) throw new EngineError('invalid', `setup ${verb} has no option --${wrong}`)
    return { verb, values }
  } catch (error) {
    if (error instanceof EngineError) throw error
    throw new EngineError('invalid', `setup ${verb}: ${messageOf(error)}`, { cause: error })
  }
}

function absolute(name: string, path: string): string {
  if (!isAbsolute(path) || normalize(path) !== path || path === '/' || /[\n\0]/.test(path))
    throw new EngineError('invalid', `--${name} has to be a plain absolute path: ${JSON.stringify(path)}`)
  return path
}

function idNumber(flag: 'user' | 'group', text: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > 0xfffffffe)
    throw new EngineError('invalid', `--${flag} has to be a ${flag}'s number: ${JSON.stringify(text)}`)
  return Number(text)
}

function mountsSetting(text: string): 'own' | 'any' {
  if (text !== 'own' && text !== 'any')
    throw new EngineError('invalid', `--client-mounts is own or any: ${JSON.stringify(text)}`)
  return text
}

/** What the daemon would refuse is refused before anything is changed. The default's ids are set aside when it starts. */
function remapSetting(who: string): string {
  if (who !== 'default') readSubordinateIds(who)
  return who
}

function settingsFrom(values: Flags): Settings {
  const root = absolute('root', values.root ?? '/var/lib/drydock')
  const execRoot = absolute('exec-root', values['exec-root'] ?? '/run/drydock')
  const socket = absolute('socket', values.socket ?? join(execRoot, 'docker.sock'))
  const user = idNumber('user', values.user ?? process.env.SUDO_UID ?? process.env.PKEXEC_UID ?? '0')
  const group = idNumber('group', values.group ?? '0')
  const clientMounts = mountsSetting(values['client-mounts'] ?? 'own')
  const remap = values['userns-remap']
  const usernsRemap = remap === undefined ? {} : { usernsRemap: remapSetting(remap) }
  return { user, group, clientMounts, ...usernsRemap, socket, root, execRoot }
}

/** What engines were set up with that were installed before there was a choice. */
const before = { group: 0, clientMounts: 'own' } as const

/** Of the installed engine; it is root's file, so it is believed. */
function savedSettings(place: string): Settings | undefined {
  const file = join(place, 'setup.json')
  return existsSync(file) ? { ...before, ...(JSON.parse(readFileSync(file, 'utf8')) as Settings) } : undefined
}

function requireInstalled(place: string): Settings {
  const settings = savedSettings(place)
  if (settings === undefined || installed(place) === undefined)
    throw new EngineError('not-found', 'the engine is not installed: drydock setup install')
  return settings
}

async function installVerb(values: Flags, { place, command, source, say }: SetupContext): Promise<void> {
  const settings = settingsFrom(values)
  for (const path of [place, settings.root, settings.execRoot]) assertRootOwned(path)
  assertSocketPlace(settings.socket)
  const earlier = savedSettings(place)
  const engine = service(place, settings)
  if ((await answers(settings.socket)) && (earlier === undefined || !service(place, earlier).running()))
    throw new EngineError('conflict', `another engine answers at ${settings.socket}: stop it first`)
  if (earlier !== undefined && !isDeepStrictEqual(earlier, settings)) await service(place, earlier).stop()
  const before = installed(place)
  const name = install(place, source())
  replaceFile(join(place, 'setup.json'), JSON.stringify(settings))
  say(name === before ? `Drydock ${name} is installed in ${place}` : `Installed Drydock ${name} in ${place}`)
  for (const path of [command, `${command}-runtime`])
    if (!linkCommand(place, path)) say(`${path} is taken: the command is ${place}/current/bin/${basename(path)}`)
  const without = await renewRuntimeImage(join(place, name))
  if (without !== undefined) say(`drydock-runtime starts slower than it could: ${without}`)
  const hindrance = loadProfile()
  if (hindrance !== undefined) say(`Containers run without an AppArmor profile of their own: ${hindrance}`)
  if (name !== before || !(await answers(settings.socket))) await engine.start()
  await untilAnswering(engine, settings)
  removeOldVersions(place)
  say(`The engine runs (${engine.kind === 'systemd' ? 'systemd service drydock' : 'a process of its own'})`)
  say(`Its socket: ${settings.socket}`)
}

async function startVerb({ place, say }: SetupContext): Promise<void> {
  const settings = requireInstalled(place)
  const engine = service(place, settings)
  if (!engine.running() || !(await answers(settings.socket))) await engine.start()
  await untilAnswering(engine, settings)
  say(`The engine runs, its socket is ${settings.socket}`)
}

async function stopVerb({ place, say }: SetupContext): Promise<void> {
  const engine = service(place, requireInstalled(place))
  if (!engine.running()) return say('The engine was not running')
  await engine.stop()
  say('The engine is stopped; containers go on')
}

async function status({ place, say }: SetupContext): Promise<number> {
  const settings = savedSettings(place)
  const name = installed(place)
  if (settings === undefined || name === undefined) {
    say('not installed')
    return 4
  }
  const running = service(place, settings).running()
  say(`Drydock ${name} in ${place}: ${running ? 'running' : 'stopped'}`)
  say(`Its socket: ${settings.socket}`)
  return running ? 0 : 3
}

async function uninstall(values: Flags, context: SetupContext): Promise<void> {
  const { place, command } = context
  const purge = values.purge ?? false
  const settings = savedSettings(place) ?? settingsFrom(values)
  assertRootOwned(place)
  if (await answers(settings.socket)) await stopContainers(settings.socket, purge, context.say)
  await service(place, settings).remove()
  await erase(settings, purge, context)
  removeProfile()
  rmSync(settings.socket, { force: true })
  for (const path of [command, `${command}-runtime`]) unlinkCommand(place, path)
  rmSync(place, { recursive: true, force: true })
  context.say('The engine is removed')
  if (!purge && existsSync(settings.root))
    context.say(`Images, volumes and containers are kept in ${settings.root}: setup uninstall --purge removes them`)
}

async function eraseVerb(values: Flags, context: SetupContext): Promise<void> {
  if (values.root === undefined || values['exec-root'] === undefined)
    throw new EngineError('invalid', 'setup erase needs --root and --exec-root')
  const settings = settingsFrom(values)
  if (await answers(settings.socket))
    throw new EngineError('conflict', `an engine still answers at ${settings.socket}: stop it first`)
  await erase(settings, true, context)
}

/** Refuses while something is mounted there: deleting would go through the mount. */
async function erase({ root, execRoot }: Settings, purge: boolean, context: SetupContext): Promise<void> {
  await context.removeFromMachine({ root, execRoot })
  removeEmptyGroups()
  for (const directory of purge ? [execRoot, root] : [execRoot]) {
    const mounted = mountsBelow(directory)
    if (mounted.length > 0)
      throw new EngineError(
        'conflict',
        `${directory} is not removed, since something is mounted there: ${mounted.join(', ')}`,
      )
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The engines' common group goes with the last of them: rmdir(2) refuses while there is another below it. */
function removeEmptyGroups(): void {
  const { v1, unified } = parseHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'))
  const points = new Set([...Object.values(v1), ...(unified === undefined ? [] : [unified])])
  for (const point of points)
    try {
      rmdirSync(join(point, 'drydock'))
    } catch (error) {
      if (!['ENOENT', 'EBUSY', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
}

/** Mount points at or below a directory; proc_pid_mountinfo(5) writes blanks as octal. */
const mountsBelow = (directory: string): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
    )
    .filter((path) => path === directory || path.startsWith(`${directory}/`))
