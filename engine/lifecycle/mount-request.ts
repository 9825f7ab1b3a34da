/** What a user asks to be mounted, from the four places of the API it can stand in; wire facts 125–127, 160. Pure. */
import { posix } from 'node:path'
import { EngineError } from '../base/errors.ts'
import { mountDestination } from '../spec/mounts.ts'
import type { ContainerConfig, HostConfig, MountPoint, MountSpec } from './container.ts'

export type MountRequest = {
  type: 'bind' | 'volume' | 'tmpfs' | 'image'
  /** Bind: an absolute path of the host. Volume: a name; undefined is an anonymous one. Image: its reference. */
  source: string | undefined
  destination: string
  readOnly: boolean
  mode: string
  propagation: string
  /** Make the missing source of a bind. */
  createSource: boolean
  /** Leave an empty volume empty. */
  noCopy: boolean
  mapOwner: boolean
  labels: Record<string, string>
  driverOptions: Record<string, string>
  driver: string
}

const plain = {
  readOnly: false,
  mode: '',
  propagation: '',
  createSource: false,
  noCopy: false,
  mapOwner: false,
  labels: {},
  driverOptions: {},
  driver: 'local',
}

const propagationWords = new Set(['shared', 'rshared', 'slave', 'rslave', 'private', 'rprivate'])
const consistencyWords = new Set(['consistent', 'cached', 'delegated'])
/** Words that exclude one another. */
const groupOf = (word: string): string | undefined => {
  if (word === 'ro' || word === 'rw') return 'access'
  if (word === 'z' || word === 'Z') return 'label'
  if (word === 'nocopy') return 'copy'
  if (word === 'idmap') return 'owner'
  if (propagationWords.has(word)) return 'propagation'
  if (consistencyWords.has(word)) return 'consistency'
  return undefined
}

function modeWords(mode: string): Map<string, string> {
  const words = new Map<string, string>()
  for (const word of mode.split(',')) {
    const group = groupOf(word)
    if (group === undefined || words.has(group)) throw new EngineError('invalid', `invalid mode: ${mode}`)
    words.set(group, word)
  }
  return words
}

/** `source:destination[:mode]`; a bare destination is an anonymous volume. */
export function parseBind(text: string): MountRequest {
  const parts = text.split(':')
  const bad = (): never => {
    throw new EngineError('invalid', `invalid volume specification: '${text}'`)
  }
  if (parts.length > 3 || parts.some((part) => part === '')) bad()
  if (parts.length === 2 && groupOf(parts[1] ?? '') !== undefined && !parts[1]?.startsWith('/')) bad()
  const [first = '', second, mode = ''] = parts
  const source = second === undefined ? undefined : first
  const destination = mountDestination(second ?? first)
  const words = mode === '' ? new Map<string, string>() : modeWords(mode)
  const bind = source?.startsWith('/') === true
  if (!bind && words.has('propagation')) throw new EngineError('invalid', `invalid mode: ${mode}`)
  if (bind && words.has('copy')) throw new EngineError('invalid', `invalid mode: ${mode}`)
  if (!bind && words.has('owner')) throw new EngineError('invalid', `invalid mode: ${mode}`)
  return {
    ...plain,
    type: bind ? 'bind' : 'volume',
    source: bind ? posix.normalize(source as string) : source,
    destination,
    readOnly: words.get('access') === 'ro',
    mode,
    propagation: words.get('propagation') ?? (bind ? 'rprivate' : ''),
    createSource: bind,
    noCopy: words.has('copy'),
    mapOwner: words.has('owner'),
  }
}

const invalidMount = (type: string, why: string): EngineError =>
  new EngineError('invalid', `invalid mount config for type "${type}": ${why}`)

const optionFields = {
  bind: 'BindOptions',
  volume: 'VolumeOptions',
  tmpfs: 'TmpfsOptions',
  image: 'ImageOptions',
} as const

/** One entry of HostConfig.Mounts. */
export function parseMount(mount: MountSpec): MountRequest {
  if (!mount.Target) throw invalidMount(mount.Type, 'field Target must not be empty')
  const destination = mountDestination(mount.Target)
  for (const [type, field] of Object.entries(optionFields))
    if (type !== mount.Type && mount[field] !== undefined)
      throw invalidMount(mount.Type, `field ${field} must not be specified`)
  if (mount.Type === 'tmpfs') return tmpfsRequest(mount, destination)
  if (mount.Type === 'image') return imageRequest(mount, destination)
  return mount.Type === 'bind' ? bindRequest(mount, destination) : volumeRequest(mount, destination)
}

function tmpfsRequest(mount: MountSpec, destination: string): MountRequest {
  if (mount.Source) throw invalidMount('tmpfs', 'field Source must not be specified')
  return { ...plain, type: 'tmpfs', source: undefined, destination, readOnly: mount.ReadOnly === true }
}

function imageRequest(mount: MountSpec, destination: string): MountRequest {
  if (!mount.Source) throw invalidMount('image', 'field Source must not be empty')
  if (mount.ImageOptions?.Subpath)
    throw new EngineError(
      'not-implemented',
      `an image is mounted as a whole: the subpath ${JSON.stringify(mount.ImageOptions.Subpath)} cannot be mounted alone`,
    )
  return { ...plain, type: 'image', source: mount.Source, destination, readOnly: mount.ReadOnly === true }
}

function bindRequest(mount: MountSpec, destination: string): MountRequest {
  if (!mount.Source) throw invalidMount('bind', 'field Source must not be empty')
  if (!mount.Source.startsWith('/'))
    throw invalidMount('bind', `invalid mount path: '${mount.Source}' mount path must be absolute`)
  const propagation = mount.BindOptions?.Propagation || 'rprivate'
  if (!propagationWords.has(propagation)) throw invalidMount('bind', `invalid propagation mode: ${propagation}`)
  return {
    ...plain,
    type: 'bind',
    source: posix.normalize(mount.Source),
    destination,
    readOnly: mount.ReadOnly === true,
    propagation,
    createSource: mount.BindOptions?.CreateMountpoint === true,
    mapOwner: (mount.Consistency ?? '').split(',').includes('idmap'),
  }
}

function volumeRequest(mount: MountSpec, destination: string): MountRequest {
  const options = mount.VolumeOptions
  return {
    ...plain,
    type: 'volume',
    source: mount.Source || undefined,
    destination,
    readOnly: mount.ReadOnly === true,
    mode: 'z',
    noCopy: options?.NoCopy === true,
    labels: options?.Labels ?? {},
    driverOptions: options?.DriverConfig?.Options ?? {},
    driver: options?.DriverConfig?.Name || 'local',
  }
}

/** Everything a container mounts, one destination each, and nothing twice. Image VOLUMEs yield to all others. */
export function mountRequests(
  config: Pick<ContainerConfig, 'Volumes'>,
  host: Pick<HostConfig, 'Binds' | 'Mounts' | 'Tmpfs'>,
  inherited: readonly MountPoint[],
): MountRequest[] {
  const wanted = new Map<string, MountRequest>()
  const taken = new Set<string>()
  const add = (request: MountRequest): void => {
    if (taken.has(request.destination))
      throw new EngineError('invalid', `Duplicate mount point: ${request.destination}`)
    taken.add(request.destination)
    wanted.set(request.destination, request)
  }
  // In dockerd, too, a mount of one's own replaces one that comes with --volumes-from.
  for (const mount of inherited) wanted.set(mount.Destination, inheritedRequest(mount))
  for (const bind of host.Binds ?? []) add(parseBind(bind))
  for (const mount of host.Mounts ?? []) add(parseMount(mount))
  for (const destination of Object.keys(host.Tmpfs ?? {})) takeTmpfs(destination, taken, wanted)
  for (const destination of Object.keys(config.Volumes ?? {})) {
    const path = mountDestination(destination)
    if (!taken.has(path) && !wanted.has(path))
      wanted.set(path, { ...plain, type: 'volume', source: undefined, destination: path })
  }
  return [...wanted.values()]
}

function takeTmpfs(target: string, taken: Set<string>, wanted: Map<string, MountRequest>): void {
  const path = mountDestination(target)
  if (taken.has(path)) throw new EngineError('invalid', `Duplicate mount point: ${path}`)
  taken.add(path)
  wanted.delete(path)
}

const inheritedRequest = (mount: MountPoint): MountRequest => ({
  ...plain,
  type: mount.Type === 'bind' ? 'bind' : 'volume',
  source: mount.Type === 'bind' ? mount.Source : mount.Name,
  destination: mount.Destination,
  readOnly: !mount.RW,
  mode: mount.Mode,
  propagation: mount.Propagation,
  noCopy: true,
  mapOwner: mount.mapOwner === true,
})
