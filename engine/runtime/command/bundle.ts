/** A bundle as the command line takes it: its config.json, and what runtimes add to every config. runtime-spec bundle.md. */
import { readFileSync, statSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { EngineError, messageOf } from '../../base/errors.ts'
import { isErrno } from '../../kernel/libc.ffi.ts'
import { parseExactly } from '../../spec/config-json.ts'
import type { OciDeviceRule, OciMount, OciProcess, OciSpec } from '../../spec/oci.ts'
import { configShape, processConfigShape } from '../config-shape.table.ts'
import { withKnownNames } from '../config-shape.ts'
import { planMount, unfitForBind } from '../mount-options.ts'

const configFile = 'config.json'

/** Absolute, links resolved by the kernel; throws where there is no such directory. */
export function enterBundle(path: string | undefined): string {
  if (path !== undefined) {
    try {
      process.chdir(path)
    } catch (error) {
      throw new EngineError('invalid', `chdir ${path}: ${reason(error)}`, { cause: error })
    }
  }
  return process.cwd()
}

const reason = (error: unknown): string => (isErrno(error, 'ENOENT') ? 'no such file or directory' : messageOf(error))

export function readSpec(bundle: string): OciSpec {
  let text: string
  try {
    text = readFileSync(join(bundle, configFile), 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT'))
      throw new EngineError('invalid', `JSON specification file ${configFile} not found`, { cause: error })
    throw error
  }
  const spec = parse(text, configFile) as OciSpec | null
  if (spec === null || typeof spec !== 'object') throw new EngineError('invalid', 'config cannot be null')
  const named = withKnownNames(withoutNulls(spec), configShape)
  checkProcess(named.process)
  return named
}

export function readProcess(path: string): OciProcess {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new EngineError('invalid', `open ${path}: ${reason(error)}`, { cause: error })
  }
  const parsed = withKnownNames(withoutNulls(parse(text, path) as OciProcess), processConfigShape)
  checkProcess(parsed)
  return parsed
}

function parse(text: string, path: string): unknown {
  try {
    return parseExactly(text)
  } catch (error) {
    throw new EngineError('invalid', `${path}: ${messageOf(error)}`, { cause: error })
  }
}

export function checkProcess(process: OciProcess | undefined): asserts process is OciProcess {
  const refuse = (sentence: string): never => {
    throw new EngineError('invalid', sentence)
  }
  if (process === undefined || process === null) return refuse('process property must not be empty')
  if ((process.cwd ?? '') === '') return refuse('Cwd property must not be empty')
  if (!isAbsolute(process.cwd)) return refuse('Cwd must be an absolute path')
  if ((process.args ?? []).length === 0) return refuse('args must not be empty')
}

/** The root directory, absolute. */
export function rootOf(spec: OciSpec, bundle: string): string {
  if (spec.root === undefined) throw new EngineError('invalid', 'root must be specified')
  const path = resolve(bundle, spec.root.path)
  if (statSync(path, { throwIfNoEntry: false }) === undefined)
    throw new EngineError('invalid', `invalid rootfs: stat ${path}: no such file or directory`)
  return path
}

/** What callers of runc leave out or say in its way, in this runtime's. Bind sources count from the bundle; config.md "Mounts". */
export function completed(spec: OciSpec, bundle: string, warn: (sentence: string) => void): OciSpec {
  const linux = spec.linux ?? {}
  const devices = linux.resources?.devices?.map(withKnownAccess)
  const rootfs = spec.root === undefined ? undefined : resolve(bundle, spec.root.path)
  const mounts = (spec.mounts ?? []).map((mount) => ({
    ...mount,
    ...(isBind(mount) ? { options: withoutUnfit(mount, warn) } : {}),
    ...(isBind(mount) && mount.source !== undefined && !isAbsolute(mount.source)
      ? { source: join(bundle, mount.source) }
      : {}),
    // Said from outside by some callers.
    ...(rootfs !== undefined && rootfs !== '/' && mount.destination?.startsWith(`${rootfs}/`)
      ? { destination: mount.destination.slice(rootfs.length) }
      : {}),
  }))
  const ownMounts = spec.linux?.namespaces?.some(({ type }) => type === 'mount') === true
  if (!ownMounts && spec.root?.readonly === true)
    warn(
      'root.readonly is left out: without a mount namespace of its own the container shares the root with the machine',
    )
  return {
    ...spec,
    ...(ownMounts ? {} : { root: { ...spec.root, readonly: false } }),
    ...(spec.process === undefined ? {} : { process: completedProcess(spec.process, warn) }),
    mounts,
    linux: devices === undefined ? linux : { ...linux, resources: { ...linux.resources, devices } },
  }
}

/** Callers of runc say such things, and are used to hear nothing: the file system that is bound has its options already. */
function withoutUnfit({ destination, options = [] }: OciMount, warn: (sentence: string) => void): string[] {
  const unfit = options.filter((option) => unfitForBind(planMount([option])).length > 0)
  if (unfit.length > 0)
    warn(`mounts (${destination}): ${unfit.join(', ')} is left out: a bind mount has the options of its file system`)
  return options.filter((option) => !unfit.includes(option))
}

/** Letters other than `rwm` mean nothing to the kernel, and configurations of others have them. */
const withKnownAccess = (rule: OciDeviceRule): OciDeviceRule =>
  typeof rule.access === 'string' ? { ...rule, access: rule.access.replaceAll(/[^rwm]/g, '') } : rule

/** Go's encoders write null for what is not there; to everybody else it is a value. */
export function withoutNulls<T>(value: T): T {
  if (Array.isArray(value)) return value.map(withoutNulls) as T
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([, field]) => field !== null)
  return Object.fromEntries(kept.map(([name, field]) => [name, withoutNulls(field)])) as T
}

/** What is left out means root; an ambient capability that could not be raised is told, as runc does, and left out. */
export function completedProcess(given: OciProcess, warn: (sentence: string) => void): OciProcess {
  const { capabilities } = given
  const base = {
    ...given,
    user: { ...given.user, uid: given.user?.uid ?? 0, gid: given.user?.gid ?? 0 },
    ...(given.scheduler === undefined ? {} : { scheduler: withUsedNice(given.scheduler) }),
  }
  if (capabilities?.ambient === undefined) return base
  const raisable = (name: string): boolean =>
    [capabilities.permitted, capabilities.inheritable].every((set) => set?.includes(name) === true)
  for (const name of capabilities.ambient.filter((each) => !raisable(each)))
    warn(`can't raise ambient capability ${name}: it is not permitted and inheritable as well`)
  return { ...base, capabilities: { ...capabilities, ambient: capabilities.ambient.filter(raisable) } }
}

/** Under the other policies the kernel takes no notice of it; sched(7). */
function withUsedNice(scheduler: NonNullable<OciProcess['scheduler']>): NonNullable<OciProcess['scheduler']> {
  const { nice: _nice, ...rest } = scheduler
  return ['SCHED_OTHER', 'SCHED_BATCH'].includes(scheduler.policy) ? scheduler : rest
}

const isBind = ({ type, options }: { type?: string; options?: string[] }): boolean =>
  type === 'bind' || (options ?? []).some((option) => option === 'bind' || option === 'rbind')
