/**
 * Seccomp profiles as Docker and Podman write them (names with conditions on capability, processor and kernel), resolved
 * to OCI's `linux.seccomp`, which has none. Pure.
 */
import { constants } from 'node:os'
import { EngineError } from '../base/errors.ts'
import type { OciSeccomp, OciSeccompArgument } from './oci.ts'

export type SeccompCondition = { caps?: string[] | null; arches?: string[] | null; minKernel?: string }

export type SeccompProfileRule = {
  /** Older profiles have one `name`. */
  names?: string[] | null
  name?: string
  action: string
  args?: OciSeccompArgument[] | null
  errnoRet?: number
  /** Podman's way to say errnoRet: `EPERM`. */
  errno?: string
  comment?: string
  includes?: SeccompCondition
  excludes?: SeccompCondition
}

export type SeccompProfile = {
  defaultAction: string
  defaultErrnoRet?: number
  defaultErrno?: string
  architectures?: string[] | null
  archMap?: { architecture: string; subArchitectures?: string[] | null }[] | null
  flags?: string[] | null
  listenerPath?: string
  listenerMetadata?: string
  syscalls?: SeccompProfileRule[] | null
}

export type SeccompTarget = {
  capabilities: readonly string[]
  /** As Node's `process.arch`. */
  arch: string
  /** `uname -r`. */
  kernel: string
}

/** The names of a processor: in conditions (Go's), and OCI's. */
const architectures: Readonly<Record<string, { go: string; oci: string }>> = {
  x64: { go: 'amd64', oci: 'SCMP_ARCH_X86_64' },
  arm64: { go: 'arm64', oci: 'SCMP_ARCH_AARCH64' },
}

const invalid = (sentence: string): never => {
  throw new EngineError('invalid', sentence)
}

/** Major and minor; `6.18.44-x` is [6, 18]. */
function kernelVersion(text: string): readonly [number, number] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(text) ?? invalid(`invalid kernel version ${JSON.stringify(text)}`)
  return [Number(major), Number(minor)]
}

function atLeast(kernel: string, minimum: string): boolean {
  const [major, minor] = kernelVersion(kernel)
  const [wantedMajor, wantedMinor] = kernelVersion(minimum)
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

/** All that is named must hold: one of the processors, every capability, the kernel's age. */
function includes(condition: SeccompCondition | undefined, target: SeccompTarget, go: string): boolean {
  const { arches, caps, minKernel } = condition ?? {}
  if (arches !== undefined && arches !== null && arches.length > 0 && !arches.includes(go)) return false
  if (caps?.some((name) => !target.capabilities.includes(name)) === true) return false
  return minKernel === undefined || minKernel === '' || atLeast(target.kernel, minKernel)
}

/** Any that holds is enough. */
function excludes(condition: SeccompCondition | undefined, target: SeccompTarget, go: string): boolean {
  const { arches, caps, minKernel } = condition ?? {}
  if (arches?.includes(go) === true) return true
  if (caps?.some((name) => target.capabilities.includes(name)) === true) return true
  return minKernel !== undefined && minKernel !== '' && atLeast(target.kernel, minKernel)
}

function errnoOf(number: number | undefined, name: string | undefined): number | undefined {
  if (number !== undefined || name === undefined || name === '') return number
  return (
    (constants.errno as Record<string, number>)[name] ??
    invalid(`unknown errno ${JSON.stringify(name)} in the seccomp profile`)
  )
}

function ruleOf(rule: SeccompProfileRule): NonNullable<OciSeccomp['syscalls']>[number] {
  const single = rule.name !== undefined && rule.name !== ''
  const listed = rule.names !== undefined && rule.names !== null && rule.names.length > 0
  if (single && listed)
    return invalid("both 'name' and 'names' were specified in the seccomp profile, use either 'name' or 'names'")
  const errnoRet = errnoOf(rule.errnoRet, rule.errno)
  return {
    names: single ? [rule.name as string] : (rule.names ?? []),
    action: rule.action,
    ...(errnoRet === undefined ? {} : { errnoRet }),
    ...(rule.args === undefined || rule.args === null || rule.args.length === 0 ? {} : { args: rule.args }),
  }
}

function architecturesOf(profile: SeccompProfile, oci: string): string[] | undefined {
  const { architectures: named, archMap } = profile
  if ((named?.length ?? 0) > 0 && (archMap?.length ?? 0) > 0)
    return invalid(
      "both 'architectures' and 'archMap' were specified in the seccomp profile, use either 'architectures' or 'archMap'",
    )
  if (named !== undefined && named !== null && named.length > 0) return named
  const own = archMap?.find(({ architecture }) => architecture === oci)
  return own === undefined ? undefined : [own.architecture, ...(own.subArchitectures ?? [])]
}

/** What holds for this container on this machine. A processor that the engine has no table of is refused. */
export function resolveSeccomp(profile: SeccompProfile, target: SeccompTarget): OciSeccomp {
  const names = architectures[target.arch]
  if (names === undefined)
    throw new EngineError('unavailable', `seccomp profiles are not available on the processor ${target.arch}`)
  const own = architecturesOf(profile, names.oci)
  const defaultErrnoRet = errnoOf(profile.defaultErrnoRet, profile.defaultErrno)
  const { listenerPath, listenerMetadata, flags } = profile
  return {
    defaultAction: profile.defaultAction,
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    ...(own === undefined ? {} : { architectures: own }),
    ...(flags === undefined || flags === null ? {} : { flags }),
    ...(listenerPath === undefined ? {} : { listenerPath }),
    ...(listenerMetadata === undefined ? {} : { listenerMetadata }),
    syscalls: (profile.syscalls ?? [])
      .filter((rule) => includes(rule.includes, target, names.go) && !excludes(rule.excludes, target, names.go))
      .map(ruleOf),
  }
}
