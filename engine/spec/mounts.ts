/** What a container sees below `/`: binds, tmpfs, and their options in the words of the OCI runtime. */
import { posix } from 'node:path'
import { EngineError } from '../base/errors.ts'
import { linuxStep, type SpecStep } from './build.ts'
import type { OciIdMapping, OciMount, OciSpec } from './oci.ts'

/** The root file system: a path of the host, made read-only or not. */
export const withRoot =
  (path: string, options: { readonly?: boolean } = {}): SpecStep =>
  (spec) => ({ ...spec, root: { path, ...(options.readonly === true ? { readonly: true } : {}) } })

/** An absolute path without `..`; `/` itself is the root file system and cannot be mounted on. */
export function mountDestination(given: string): string {
  if (!given.startsWith('/') || given.includes('\0'))
    throw new EngineError('invalid', `invalid mount path: '${given}' mount path must be absolute`)
  const path = posix.normalize(given).replace(/(?<=.)\/$/, '')
  if (path === '/') throw new EngineError('invalid', `invalid specification: destination can't be '/'`)
  return path
}

const depth = (mount: OciMount): number => mount.destination.split('/').length

/**
 * The user's mounts, outer ones first. A default mount at the same place gives way, and with a mount on `/dev` all
 * default ones below it. Two at one place are refused.
 */
export const withMounts =
  (mounts: readonly OciMount[]): SpecStep =>
  (spec) => {
    const taken = new Set<string>()
    for (const { destination } of mounts) {
      if (taken.has(destination)) throw new EngineError('invalid', `Duplicate mount point: ${destination}`)
      taken.add(destination)
    }
    const kept = (spec.mounts ?? []).filter(
      ({ destination }) => !taken.has(destination) && !(taken.has('/dev') && destination.startsWith('/dev/')),
    )
    const sorted = mounts.toSorted((one, other) => depth(one) - depth(other))
    return withSharedRoot({ ...spec, mounts: [...kept, ...sorted] })
  }

const canPropagate = (mounts: readonly OciMount[], words: readonly string[]): boolean =>
  mounts.some((mount) => mount.options?.some((option) => words.includes(option)) === true)

/** What propagates through a bind must not be stopped by the container's root being private. */
function withSharedRoot(spec: OciSpec): OciSpec {
  const mounts = spec.mounts ?? []
  if (canPropagate(mounts, ['shared', 'rshared']))
    return linuxStep((linux) => ({ ...linux, rootfsPropagation: 'shared' }))(spec)
  if (canPropagate(mounts, ['slave', 'rslave']))
    return linuxStep((linux) => ({ ...linux, rootfsPropagation: 'rslave' }))(spec)
  return spec
}

export const withoutMount =
  (destination: string): SpecStep =>
  (spec) => ({ ...spec, mounts: (spec.mounts ?? []).filter((mount) => mount.destination !== destination) })

export const withSharedMemorySize = (bytes: number): SpecStep => {
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new EngineError('invalid', 'SHM size can not be less than 0')
  return (spec) => ({
    ...spec,
    mounts: (spec.mounts ?? []).map((mount) =>
      mount.destination === '/dev/shm' && mount.type === 'tmpfs'
        ? { ...mount, options: [...(mount.options ?? []).filter((one) => !one.startsWith('size=')), `size=${bytes}`] }
        : mount,
    ),
  })
}

/** Of another IPC namespace: its shared memory in place of an own one; with `undefined` there is none. */
export const withForeignSharedMemory =
  (source: string | undefined): SpecStep =>
  (spec) => {
    const { mounts = [] } = withoutMount('/dev/shm')(spec)
    const shared = source === undefined ? [] : [bindMount({ source, destination: '/dev/shm' })]
    return { ...spec, mounts: [...mounts, ...shared] }
  }

const propagations: ReadonlySet<string> = new Set(['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'])

/** Users of the source and of the container that stand for each other. */
export type OwnerMap = {
  /** Who owns the files on disk. */
  owner: { uid: number; gid: number }
  /** Who should own them inside, as the machine numbers users. */
  user: { uid: number; gid: number }
}

export type BindRequest = {
  /** Absolute, on the host. */
  source: string
  destination: string
  readOnly?: boolean
  /** Default true: mounts below the source come along. */
  recursive?: boolean
  /** Default: read-only goes as deep as the mounts do; false stops at the first. */
  recursiveReadOnly?: boolean
  /** Default `rprivate`. */
  propagation?: string
  ownerMap?: OwnerMap
}

/** 2^32 - 1 is no user: (uid_t) -1; credentials(7). */
const idEnd = 4294967295

/**
 * Every id maps to itself but these two, which change places; user_namespaces(7) "uid_map". In the map of a mount
 * `containerID` is the id on disk and `hostID` the one it appears as; mount_setattr(2) MOUNT_ATTR_IDMAP.
 */
export function swappedIds(one: number, other: number): OciIdMapping[] {
  if (one === other) return [{ containerID: 0, hostID: 0, size: idEnd }]
  const [low, high] = one < other ? [one, other] : [other, one]
  const kept = [
    [0, low],
    [low + 1, high],
    [high + 1, idEnd],
  ] as const
  return [
    ...kept
      .filter(([from, to]) => to > from)
      .map(([from, to]) => ({ containerID: from, hostID: from, size: to - from })),
    { containerID: low, hostID: high, size: 1 },
    { containerID: high, hostID: low, size: 1 },
  ].toSorted((a, b) => a.containerID - b.containerID)
}

/** A directory or file of the host. */
export function bindMount(request: BindRequest): OciMount {
  if (!request.source.startsWith('/') || request.source.includes('\0'))
    throw new EngineError('invalid', `invalid mount path: '${request.source}' mount path must be absolute`)
  const propagation = request.propagation === undefined || request.propagation === '' ? 'rprivate' : request.propagation
  if (!propagations.has(propagation))
    throw new EngineError('invalid', `invalid propagation mode: ${JSON.stringify(propagation)}`)
  const recursive = request.recursive !== false
  const readOnly = recursive && request.recursiveReadOnly !== false ? 'rro' : 'ro'
  const map = request.ownerMap
  return {
    destination: mountDestination(request.destination),
    type: 'bind',
    source: request.source,
    options: [recursive ? 'rbind' : 'bind', ...(request.readOnly === true ? [readOnly] : ['rw']), propagation],
    ...(map === undefined
      ? {}
      : {
          uidMappings: swappedIds(map.owner.uid, map.user.uid),
          gidMappings: swappedIds(map.owner.gid, map.user.gid),
        }),
  }
}

const tmpfsValues: Readonly<Record<string, RegExp>> = {
  size: /^\d+[kmg%]?$/i,
  mode: /^[0-7]{1,4}$/,
  uid: /^\d+$/,
  gid: /^\d+$/,
  nr_inodes: /^\d+[kmg]?$/i,
  nr_blocks: /^\d+[kmg]?$/i,
  mpol: /^[\w:,=-]+$/,
}
/** Words that undo one another: the later one stays. */
const tmpfsFlags: readonly (readonly string[])[] = [
  ['ro', 'rw'],
  ['suid', 'nosuid'],
  ['dev', 'nodev'],
  ['exec', 'noexec'],
  ['atime', 'noatime'],
  ['diratime', 'nodiratime'],
  ['relatime', 'norelatime', 'strictatime', 'nostrictatime'],
  ['sync', 'async'],
  ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave', 'unbindable', 'runbindable'],
]

/** Which options the given one replaces: those of the same key or the same group. */
function tmpfsGroup(option: string): string {
  const [key = '', value] = option.split(/=(.*)/s)
  if (value !== undefined && tmpfsValues[key]?.test(value) === true) return key
  const group = value === undefined ? tmpfsFlags.find((words) => words.includes(key)) : undefined
  if (group === undefined) throw new EngineError('invalid', `invalid tmpfs option ${JSON.stringify(option)}`)
  return group[0] as string
}

/** A file system in memory. `options` as after `--tmpfs PATH:`; the last word on a thing counts. */
export function tmpfsMount(destination: string, options: string): OciMount {
  const chosen = new Map<string, string>()
  for (const option of ['noexec', 'nosuid', 'nodev', 'rprivate', ...options.split(',').filter((one) => one !== '')])
    chosen.set(tmpfsGroup(option), option)
  return { destination: mountDestination(destination), type: 'tmpfs', source: 'tmpfs', options: [...chosen.values()] }
}
