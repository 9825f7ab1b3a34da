/**
 * From the powers of the engine to those of the container's process. The order is forced: each step needs a power
 * that a later one gives up; capabilities(7), seccomp(2).
 */
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { makeCalls, type SystemCall } from '../kernel/call-sequence.ffi.ts'
import { writeFileCalls } from '../kernel/descriptors.ffi.ts'
import {
  ambientCalls,
  capabilitiesCall,
  capabilityMask,
  dropBoundingCalls,
  fileCreationMaskCall,
  groupCall,
  keepCapabilitiesCall,
  realGroupCall,
  realUserCall,
  resourceLimit,
  resourceLimitCall,
  resourceLimits,
  supplementaryGroups,
  supplementaryGroupsCall,
  userCall,
} from '../kernel/identity.ffi.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { currentPid, noNewPrivilegesCall } from '../kernel/process.ffi.ts'
import type { OciProcess } from '../spec/oci.ts'
import { procPath, tryOpenPath } from './in-root.ts'
import { writeProcFile } from './proc-file.ts'

/** Under these our own work could not go on: memory, descriptors, forks. They are among the last calls. */
const crampingLimits: ReadonlySet<string> = new Set([
  'RLIMIT_AS',
  'RLIMIT_DATA',
  'RLIMIT_STACK',
  'RLIMIT_NOFILE',
  'RLIMIT_NPROC',
  'RLIMIT_FSIZE',
  'RLIMIT_CPU',
])

function limitCalls(process: OciProcess, areCramping: boolean): SystemCall[] {
  const wanted = (process.rlimits ?? []).filter(({ type }) => crampingLimits.has(type) === areCramping)
  return wanted.map(({ type, soft, hard }) => {
    const call = resourceLimitCall(0, resourceLimits[type]!, soft, hard)
    const failure = (errno: number): EngineError => {
      const cause = call.failure(errno)
      const what = `process.rlimits: cannot set ${type} to ${soft}:${hard}: ${cause.message}`
      return new EngineError('invalid', what, { cause })
    }
    return { ...call, failure }
  })
}

/** Those that the steps to come can be done under. */
export const easyLimitCalls = (process: OciProcess): SystemCall[] => limitCalls(process, false)

/**
 * As far up as the wanted limits are, for a process that will be in a user namespace: nobody there may go above what is set
 * already. `pid` 0 is the caller.
 */
export const raiseLimits = (process: OciProcess, pid: number): void => {
  makeCalls(raiseLimitCalls(process, pid))
}

/** `raiseLimits` as a row; the limits now are those of `pid` at the time of asking. */
export function raiseLimitCalls(process: OciProcess, pid: number): SystemCall[] {
  return (process.rlimits ?? []).flatMap(({ type, hard }): SystemCall[] => {
    const resource = resourceLimits[type]!
    const now = resourceLimit(pid, resource)
    if (now.hard === -1 || (hard !== -1 && hard <= now.hard)) return []
    // The step that sets it says what was wanted.
    return [{ ...resourceLimitCall(pid, resource, now.soft, hard), tolerates: ['EPERM'] }]
  })
}

const ownScore = '/proc/self/oom_score_adj'

/**
 * For a row of calls: all who share their memory have one score, so the caller has the process's as well until this is
 * disposed of, when the process has memory of its own.
 */
export function oomScoreCalls({ oomScoreAdj }: OciProcess): { calls: SystemCall[] } & Disposable {
  const own = readFileSync(ownScore, 'utf8')
  if (oomScoreAdj === undefined || Number(own) === oomScoreAdj) return { calls: [], [Symbol.dispose]: () => undefined }
  return { calls: writeFileCalls(ownScore, `${oomScoreAdj}`), [Symbol.dispose]: () => writeFileSync(ownScore, own) }
}

/** -1000 to 1000; proc_pid_oom_score_adj(5). Before the user changes: lowering it needs a power. */
export function applyOomScore(process: OciProcess, pid: number | 'self' = 'self'): void {
  if (process.oomScoreAdj !== undefined) writeFileSync(`/proc/${pid}/oom_score_adj`, String(process.oomScoreAdj))
}

/**
 * Becomes the user, with every capability still permitted and effective, so that the seccomp filter can be loaded
 * last. Real ids are final here, so access(2) already answers for the user.
 *
 * @param available what is permitted now, as a mask
 */
export function becomeUserCalls({ capabilities, user }: OciProcess, available: bigint): SystemCall[] {
  return [
    ...dropBoundingCalls(maskOf(capabilities?.bounding)),
    keepCapabilitiesCall(true),
    membersCall(user.additionalGids ?? []),
    groupCall(user.gid),
    userCall(user.uid),
    capabilitiesCall({ effective: available, permitted: available, inheritable: 0n }),
    keepCapabilitiesCall(false),
    ...(user.umask === undefined ? [] : [fileCreationMaskCall(user.umask)]),
  ]
}

/** Until disposed of, access(2) answers the caller as it would the user; its powers stay. */
export function asRealUser({ uid, gid, additionalGids = [] }: OciProcess['user']): Disposable {
  using back = new DisposableStack()
  if (uid === 0) return back.move()
  const groups = supplementaryGroups()
  back.defer(() => makeCalls([realUserCall(0), realGroupCall(0), supplementaryGroupsCall(groups)]))
  makeCalls([supplementaryGroupsCall(additionalGids), realGroupCall(gid), realUserCall(uid)])
  return back.move()
}

/** As with runc, which goes on without. */
export function warnOfLeftOut({ capabilities = {} }: OciProcess, warn: (sentence: string) => void): void {
  const { unknown } = capabilityMask(Object.values(capabilities).flat())
  if (unknown.length > 0) warn(`unknown or unavailable capabilities are left out: ${[...new Set(unknown)].join(', ')}`)
  const { ambient = [], permitted = [], inheritable = [] } = capabilities
  const impossible = ambient.filter((name) => !(permitted.includes(name) && inheritable.includes(name)))
  if (impossible.length > 0)
    warn(`process.capabilities.ambient: what is not permitted and inheritable is left out: ${impossible.join(', ')}`)
}

const maskOf = (names: readonly string[] | undefined): bigint => capabilityMask(names ?? []).mask

/** Where /proc/PID/setgroups is `deny`, as in a user namespace without newgidmap(1), the groups of its maker stay. */
function membersCall(gids: readonly number[]): SystemCall {
  const call = supplementaryGroupsCall(gids)
  if (gids.length === 0) return { ...call, tolerates: ['EPERM'] }
  const failure = (errno: number): Error => {
    const cause = call.failure(errno)
    if (!isErrno(cause, 'EPERM')) return cause
    const what = 'process.user.additionalGids: setgroups(2) is denied in this user namespace'
    return new EngineError('invalid', what, { cause })
  }
  return { ...call, failure }
}

/** The five sets as configured. For a user other than 0 execve(2) clears what is not ambient. */
function dropCalls(process: OciProcess, available: bigint): SystemCall[] {
  const sets = process.capabilities ?? {}
  // What the engine itself lacks cannot be given: on such a machine a container gets less, as with runc.
  return [
    capabilitiesCall({
      effective: maskOf(sets.effective) & available,
      permitted: maskOf(sets.permitted) & available,
      inheritable: maskOf(sets.inheritable) & available,
    }),
    // prctl(2) PR_CAP_AMBIENT_RAISE gives no more.
    ...ambientCalls(maskOf(sets.ambient) & maskOf(sets.permitted) & maskOf(sets.inheritable) & available),
  ]
}

type Label = { attribute: string; value: string; field: string }

/** Below /proc/PID/attr; what is written takes effect at the next execve(2). */
export function labelsOf({ apparmorProfile = '', selinuxLabel = '' }: OciProcess): Label[] {
  const labels: Label[] = []
  if (apparmorProfile !== '') {
    // Where several modules are stacked, each has a directory of its own.
    const attribute = existsSync('/proc/self/attr/apparmor/exec') ? 'apparmor/exec' : 'exec'
    labels.push({ attribute, value: `exec ${apparmorProfile}`, field: 'process.apparmorProfile' })
  }
  if (selinuxLabel !== '') labels.push({ attribute: 'exec', value: selinuxLabel, field: 'process.selinuxLabel' })
  return labels
}

export function applyLabels(process: OciProcess): void {
  for (const label of labelsOf(process)) writeLabel(label)
}

function writeLabel({ attribute, value, field }: Label): void {
  try {
    writeProcFile(`${currentPid()}/attr/${attribute}`, value)
  } catch (error) {
    if (error instanceof EngineError) throw error
    throw new EngineError('invalid', `${field}: this kernel refuses ${JSON.stringify(value)}; is the module loaded?`, {
      cause: error,
    })
  }
}

/**
 * The last calls before execve, up to the filter's and behind it: the cramping limits first, while there is the right to
 * raise them. Without no-new-privileges a filter needs CAP_SYS_ADMIN, so it comes before the capabilities go; with it,
 * after, so that the filter never sees capset(2).
 */
export function surrenderCalls(
  process: OciProcess,
  available: bigint,
): { beforeFilter: SystemCall[]; behindFilter: SystemCall[] } {
  const limits = limitCalls(process, true)
  const drop = dropCalls(process, available)
  return process.noNewPrivileges === true
    ? { beforeFilter: [...limits, noNewPrivilegesCall, ...drop], behindFilter: [] }
    : { beforeFilter: limits, behindFilter: drop }
}

/**
 * The container's environment: each name once, the last one given counts; with HOME from the container's /etc/passwd when
 * none or an empty one is given, `/` for a user it does not list.
 *
 * @param passwd the text of that file
 */
export function withHome(environment: readonly string[], uid: number, passwd = ownPasswd): readonly string[] {
  const byName = new Map<string, string>()
  for (const entry of environment) {
    const name = entry.split('=', 1)[0]!
    byName.delete(name)
    byName.set(name, entry)
  }
  if ((byName.get('HOME') ?? 'HOME=') === 'HOME=') byName.set('HOME', `HOME=${homeOf(uid, passwd())}`)
  return [...byName.values()]
}

/** Read at most this much: the file is the image's. */
const largestPasswd = 1 << 20

function homeOf(uid: number, passwd: string): string {
  for (const line of passwd.split('\n')) {
    const fields = line.split(':')
    if (fields.length >= 6 && fields[2] === String(uid)) return fields[5] === '' ? '/' : fields[5]!
  }
  return '/'
}

/** Empty where there is no such regular file; a pipe in its place is not waited for. */
function ownPasswd(): string {
  let fd: number
  try {
    fd = openSync('/etc/passwd', constants.O_RDONLY | constants.O_NONBLOCK)
  } catch {
    // An image without /etc/passwd is fine: its users have numbers only.
    return ''
  }
  return textOf(fd)
}

/** From outside: of the root that `process` has. */
export function passwdOf(process: number): string {
  using cleanup = new DisposableStack()
  const root = cleanup.adopt(openSync(`/proc/${process}/root`, constants.O_DIRECTORY), closeSync)
  const path = tryOpenPath(root, 'etc/passwd')
  if (path === undefined) return ''
  cleanup.adopt(path, closeSync)
  // What it is is known before it is opened: opening a device can do something.
  return fstatSync(path).isFile() ? textOf(openSync(procPath(path), constants.O_RDONLY)) : ''
}

/** At most so much, of a regular file; closes the descriptor. */
function textOf(fd: number): string {
  try {
    if (!fstatSync(fd).isFile()) return ''
    const bytes = Buffer.alloc(Math.min(fstatSync(fd).size, largestPasswd))
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0))
  } finally {
    closeSync(fd)
  }
}
