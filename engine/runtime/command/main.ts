/**
 * The runtime's command line, a program of its own: `node --single-threaded main.js NAME DESCRIPTORS [options] VERB …`.
 * NAME is what the program is called in its own words; DESCRIPTORS how many descriptors from 3 on were open without a gap
 * when it was started, before Node opened its own. Every verb is loaded when it is asked for: starting is most of the time.
 */
import { accessSync, chmodSync, constants, mkdirSync, readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { engineVersion } from '../../base/engine-version.ts'
import { EngineError, messageOf } from '../../base/errors.ts'
import { parkOtherThreads } from '../../kernel/parked-threads.ffi.ts'
import { exit, prepareFork } from '../../kernel/process.ffi.ts'
import type { Call } from './call.ts'
import { Containers, type Settings } from './containers.ts'
import { type ParsedFlags, parseFlags, parseTruth } from './flags.ts'
import { Log, tell } from './log.ts'
import { NotExecuted } from './not-executed.ts'
import { globalFlags, type Verb, type VerbName, verbs } from './verbs.table.ts'
import { versionText } from './version.ts'

type Run = (containers: Containers, flags: ParsedFlags) => number | Promise<number>

const runners: Readonly<Record<VerbName, () => Promise<Run>>> = {
  create: async () => (await import('./create-container.ts')).createVerb,
  run: async () => (await import('./create-container.ts')).runVerb,
  start: async () => (await import('./start-container.ts')).startVerb,
  kill: async () => (await import('./kill-container.ts')).killVerb,
  delete: async () => (await import('./delete-container.ts')).deleteVerb,
  exec: async () => (await import('./exec-process.ts')).execVerb,
  state: async () => (await import('./show-containers.ts')).stateVerb,
  list: async () => (await import('./show-containers.ts')).listVerb,
  pause: async () => (await import('./pause-container.ts')).pauseVerb,
  resume: async () => (await import('./pause-container.ts')).resumeVerb,
  ps: async () => (await import('./list-processes.ts')).psVerb,
  update: async () => (await import('./update-limits.ts')).updateVerb,
  events: async () => (await import('./watch-events.ts')).eventsVerb,
  spec: async () => (await import('./write-spec.ts')).specVerb,
  features: async () => (await import('./tell-features.ts')).featuresVerb,
  checkpoint: async () => refuseCheckpoint,
  restore: async () => refuseCheckpoint,
}

function refuseCheckpoint(): never {
  throw new EngineError(
    'not-implemented',
    'checkpoint and restore are not available: this runtime does not work with CRIU',
  )
}

/** Codes and words of a failure, by verb: callers look at both. */
const prefixes: Partial<Record<VerbName, string>> = {
  create: 'runc create failed: ',
  run: 'runc run failed: ',
  exec: 'exec failed: ',
}
const exitCodes: Partial<Record<VerbName, number>> = { exec: 255 }

/** When it does not matter what it was called. */
const ownName = 'drydock-runtime'

const ordinaryUser = (): boolean => process.geteuid?.() !== 0

/** Whether /proc/self/uid_map is that of the machine itself: every number means itself. */
const inUserNamespace = (): boolean =>
  !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8').trimEnd())

function rootFor(flags: ParsedFlags, rootless: boolean): string {
  if (flags.has('root')) {
    const root = resolve(flags.text('root') ?? '')
    if (root === '/') throw new EngineError('invalid', 'Option --root argument should not be set to /')
    return root
  }
  const runtimeDirectory = process.env.XDG_RUNTIME_DIR ?? ''
  if (!rootless || runtimeDirectory === '') return '/run/drydock-runtime'
  const root = join(runtimeDirectory, 'drydock-runtime')
  mkdirSync(root, { recursive: true, mode: 0o700 })
  // The sticky bit keeps what lies there from being cleaned up; XDG Base Directory Specification.
  chmodSync(root, 0o1700)
  return root
}

function settingsFrom(flags: ParsedFlags, program: string, inherited: number): Settings {
  const asked = flags.text('rootless')
  const chosen = asked === undefined || asked.toLowerCase() === 'auto' ? undefined : parseTruth(asked)
  if (chosen === undefined && asked !== undefined && asked.toLowerCase() !== 'auto')
    throw new EngineError('invalid', `invalid value ${JSON.stringify(asked)} for --rootless: true, false or auto`)
  const unprivileged = ordinaryUser() || inUserNamespace()
  return {
    program,
    version: engineVersion,
    root: rootFor(flags, unprivileged && !(process.geteuid?.() === 0 && process.env.USER === 'root')),
    rootGiven: flags.has('root'),
    systemdCgroup: flags.is('systemd-cgroup'),
    rootless: chosen ?? unprivileged,
    inherited,
  }
}

/** Where the verb begins: what stands before it is global, what follows is the verb's. */
function split(words: readonly string[]): {
  global: readonly string[]
  verb: string | undefined
  rest: readonly string[]
} {
  const parsed = parseFlags(words, globalFlags, { ordered: true })
  const [verb, ...rest] = parsed.args
  return { global: words.slice(0, words.length - parsed.args.length), verb, rest }
}

async function help(program: string, name: string | undefined): Promise<number> {
  const { programHelp, verbHelp } = await import('./help.ts')
  const verb = verbs.find((known) => known.name === name)
  if (name !== undefined && verb === undefined) throw new EngineError('invalid', `No help topic for '${name}'`)
  tell(1, verb === undefined ? programHelp(program, engineVersion) : verbHelp(program, verb))
  return 0
}

function checkArguments(program: string, { name, least, most }: Verb, count: number): void {
  const what = `${program}: ${JSON.stringify(name)} requires`
  if (least === most && count !== least) throw new EngineError('invalid', `${what} exactly ${least} argument(s)`)
  if (count < least) throw new EngineError('invalid', `${what} a minimum of ${least} argument(s)`)
  if (count > most) throw new EngineError('invalid', `${what} a maximum of ${most} argument(s)`)
}

async function main({ program, inherited, words, kept }: Call): Promise<number> {
  let log = new Log({ debug: false })
  let verb: Verb | undefined
  try {
    const { global, verb: name, rest } = split(words)
    const globals = parseFlags(global, globalFlags, { ordered: true })
    if (globals.is('version')) {
      tell(1, versionText(program))
      return 0
    }
    if (name === undefined || globals.is('help') || name === 'help' || name === 'h') return await help(program, rest[0])
    const [file, format] = [globals.text('log'), globals.text('log-format')]
    log = new Log({
      debug: globals.is('debug'),
      ...(file === undefined ? {} : { file }),
      ...(format === undefined ? {} : { format }),
    })
    verb = verbs.find((known) => known.name === name)
    if (verb === undefined) throw new EngineError('invalid', `No help topic for '${name}'`)
    log.debug(`${program} start: ${kept ? 'from the image of a process' : 'as a new Node'}`)
    return await perform(verb, rest, new Containers(settingsFrom(globals, program, inherited), log))
  } catch (error) {
    if (error instanceof NotExecuted) log.refusal(error.message)
    else log.error(`${verb === undefined ? '' : (prefixes[verb.name] ?? '')}${messageOf(error)}`)
    if (!(error instanceof EngineError) && error instanceof Error) log.debug(error.stack ?? '')
    return (verb === undefined ? undefined : exitCodes[verb.name]) ?? 1
  }
}

/** How the program behind /proc/self/exe is kept from being overwritten; asked for in the debug log only. */
async function sealedBy(): Promise<string> {
  const { isErrno } = await import('../../kernel/libc.ffi.ts')
  try {
    accessSync('/proc/self/exe', constants.W_OK)
  } catch (error) {
    if (isErrno(error, 'EROFS')) return '/proc/self/exe clone of the mount, read-only'
  }
  return 'the file as it is: nothing keeps its owner from writing it'
}

async function perform(verb: Verb, words: readonly string[], containers: Containers): Promise<number> {
  const { program } = containers.settings
  const helpFlag = { names: ['help', 'h'], kind: 'boolean', usage: 'show help' } as const
  let flags: ParsedFlags
  try {
    flags = parseFlags(words, [...verb.flags, helpFlag], { ordered: verb.ordered === true })
    if (flags.is('help')) return await help(program, verb.name)
    checkArguments(program, verb, flags.args.length)
  } catch (error) {
    tell(1, 'Incorrect Usage.\n\n')
    await help(program, verb.name)
    throw error
  }
  const { log } = containers
  if (log.debugs) log.debug(`${program} exeseal: using ${await sealedBy()}`)
  const run = await runners[verb.name]()
  return run(containers, flags)
}

prepareFork(readFileSync('/proc/self/maps', 'utf8'))
parkOtherThreads()

async function callOf([
  ,
  script = '',
  name = basename(script),
  second = '0',
  ...words
]: readonly string[]): Promise<Call> {
  if (name !== '--image') return { program: basename(name), inherited: Number(second), words, kept: false }
  const { begunAgain } = await import('./make-image.ts')
  try {
    return await begunAgain(resolve(second), (verb) =>
      main({ program: ownName, inherited: 0, words: verb, kept: false }),
    )
  } catch (error) {
    tell(2, `${ownName}: no image is made: ${messageOf(error)}\n`)
    return exit(1)
  }
}

void callOf(process.argv).then(main).then(exit)
