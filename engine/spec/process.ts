/** The container's process: what it runs, as whom, with which environment and limits. */
import { EngineError } from '../base/errors.ts'
import { processStep, type SpecStep } from './build.ts'
import { defaultPath } from './defaults.table.ts'
import type { OciRlimit, OciUser } from './oci.ts'

/** execve(2) ends every string at its first zero byte, so one inside would silently cut what the user meant. */
function withoutZero(value: string, what: string): string {
  if (value.includes('\0')) throw new EngineError('invalid', `${what} contains a zero byte: ${JSON.stringify(value)}`)
  return value
}

/** Program and arguments, at least one. */
export const withArguments = (args: readonly string[]): SpecStep => {
  if (args.length === 0) throw new EngineError('invalid', 'no command specified')
  const checked = args.map((arg) => withoutZero(arg, 'argument'))
  return processStep((process) => ({ ...process, args: checked }))
}

export type EnvironmentRequest = {
  hostname: string
  terminal: boolean
  /** `NAME=value`, the image's and the user's merged; `NAME` alone takes the name away. */
  variables: readonly string[]
}

/** PATH, HOSTNAME, TERM (with a terminal only), then the given ones; a name given replaces the one in its place. */
export function environment(request: EnvironmentRequest): string[] {
  const byName = new Map<string, string | undefined>()
  const base = [defaultPath, `HOSTNAME=${request.hostname}`, ...(request.terminal ? ['TERM=xterm'] : [])]
  for (const entry of [...base, ...request.variables]) {
    withoutZero(entry, 'environment variable')
    const equals = entry.indexOf('=')
    if (equals === 0) throw new EngineError('invalid', `invalid environment variable: ${entry}`)
    if (equals === -1) byName.delete(entry)
    else byName.set(entry.slice(0, equals), entry)
  }
  return [...byName.values()].filter((entry) => entry !== undefined)
}

export const withEnvironment = (request: EnvironmentRequest): SpecStep => {
  const env = environment(request)
  return processStep((process) => ({ ...process, env }))
}

export const withWorkingDirectory = (path: string): SpecStep => {
  const cwd = withoutZero(path === '' ? '/' : path, 'working directory')
  if (!cwd.startsWith('/'))
    throw new EngineError('invalid', `the working directory '${cwd}' is invalid, it needs to be an absolute path`)
  return processStep((process) => ({ ...process, cwd }))
}

export const withUser = (user: OciUser): SpecStep => processStep((process) => ({ ...process, user }))

export const withTerminal = (size?: { height: number; width: number }): SpecStep =>
  processStep((process) => ({ ...process, terminal: true, ...(size === undefined ? {} : { consoleSize: size }) }))

export const withNoNewPrivileges = (): SpecStep => processStep((process) => ({ ...process, noNewPrivileges: true }))

/** AppArmor; the runtime says so where the kernel has none. */
export const withApparmorProfile = (name: string): SpecStep =>
  processStep((process) => ({ ...process, apparmorProfile: name }))

/** How soon the kernel picks it when memory runs out; proc_pid_oom_score_adj(5). */
export const withOomScoreAdjustment = (score: number): SpecStep => {
  if (!Number.isInteger(score) || score < -1000 || score > 1000)
    throw new EngineError('invalid', `Invalid value ${score}, range for oom score adj is [-1000, 1000]`)
  return processStep((process) => ({ ...process, oomScoreAdj: score }))
}

export type Ulimit = { Name: string; Soft: number; Hard: number }

const ulimitNames: ReadonlySet<string> = new Set([
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
])

/**
 * -1 is no limit, on either side, and stays -1: the kernel's 2^64 - 1 is no number of JavaScript (setResourceLimit in
 * engine/kernel/identity.ffi.ts takes -1 as that).
 */
export function rlimitOf(ulimit: Ulimit): OciRlimit {
  const name = ulimit.Name.toLowerCase()
  if (!ulimitNames.has(name)) throw new EngineError('invalid', `invalid ulimit type: ${ulimit.Name}`)
  for (const value of [ulimit.Soft, ulimit.Hard])
    if (!Number.isInteger(value) || value < -1)
      throw new EngineError('invalid', `invalid value for ulimit ${name}: ${value}`)
  const size = (value: number): number => (value === -1 ? Number.POSITIVE_INFINITY : value)
  if (size(ulimit.Soft) > size(ulimit.Hard))
    throw new EngineError(
      'invalid',
      `ulimit soft limit must be less than or equal to hard limit: ${ulimit.Soft} > ${ulimit.Hard}`,
    )
  return { type: `RLIMIT_${name.toUpperCase()}`, soft: ulimit.Soft, hard: ulimit.Hard }
}

/** The last of two for one resource wins. */
export const withUlimits = (ulimits: readonly Ulimit[]): SpecStep => {
  const byType = new Map(ulimits.map((ulimit) => [ulimit.Name.toLowerCase(), rlimitOf(ulimit)]))
  return processStep((process) => ({ ...process, rlimits: [...byType.values()] }))
}
