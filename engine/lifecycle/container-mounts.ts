/** A container's mount points as mounts of its OCI config; wire facts 130–132, 143, 163. */
import { readFileSync, realpathSync, statSync } from 'node:fs'
import { posix } from 'node:path'
import { EngineError } from '../base/errors.ts'
import type { Credentials } from '../kernel/file-rights.ffi.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import type { OverlayMount } from '../snapshots/snapshotter.ts'
import { hostId, type IdMaps, type Owner } from '../spec/id-maps.ts'
import { type BindRequest, bindMount, tmpfsMount } from '../spec/mounts.ts'
import type { OciMount, OciUser } from '../spec/oci.ts'
import type { Volume } from '../volumes/volume.ts'
import { isBindVolume } from '../volumes/volume-options.ts'
import type { Container, MountPoint, MountSpec } from './container.ts'
import { checkPropagation } from './mount-propagation.ts'

export type MountSources = {
  volume(name: string): Volume
  /** A path to a directory or file below the volume's, which stays the same for as long as the start takes. */
  subpath(volume: Volume, path: string): string
  snapshot(key: string): readonly OverlayMount[]
  /** Another path to what the client may read at this one, which stays the same for as long as the start takes. */
  reached(path: string, client: Credentials): string
  /** Of the container's user namespace; undefined: the machine's. */
  idMaps: IdMaps | undefined
}

export function containerMounts(container: Container, user: OciUser, sources: MountSources): OciMount[] {
  const specs = new Map((container.hostConfig.Mounts ?? []).map((mount) => [posix.normalize(mount.Target), mount]))
  return [
    ...nameFiles(container).map((mount) => ownedBy(mount, sources.idMaps)),
    ...container.mounts.flatMap((point) => pointMounts(point, specs.get(point.Destination), user, sources)),
    ...tmpfsMounts(container),
  ]
}

/** Unless the user mounts something there. */
function nameFiles(container: Container): OciMount[] {
  const taken = new Set(container.mounts.map(({ Destination }) => Destination))
  return (
    [
      ['/etc/hosts', container.hostsPath],
      ['/etc/hostname', container.hostnamePath],
      ['/etc/resolv.conf', container.resolvConfPath],
    ] as const
  )
    .filter(([destination]) => !taken.has(destination))
    .map(([destination, source]) => bindMount({ source, destination }))
}

function pointMounts(point: MountPoint, spec: MountSpec | undefined, user: OciUser, sources: MountSources): OciMount[] {
  if (point.Type === 'image') return sources.snapshot(point.snapshot ?? '').map((part) => overlayMount(point, part))
  // Those are made from the request, which has their options.
  if (point.Type === 'tmpfs') return []
  return [treeMount(point, spec, user, sources)]
}

/** mount(2) takes no more options than fit on a page. */
const longestOptions = 4000

/** A part of an image as a file system of its own; overlay options as in kernel/Documentation/filesystems/overlayfs.rst. */
function overlayMount(point: MountPoint, { target, lower, upper = '', work = '' }: OverlayMount): OciMount {
  const escaped = (path: string): string => path.replaceAll(/([\\:])/g, '\\$1')
  const options = [`lowerdir=${lower.map(escaped).join(':')}`, `upperdir=${upper}`, `workdir=${work}`]
  if (options.join(',').length > longestOptions)
    throw new EngineError(
      'invalid',
      `invalid mount config for type "image": ${lower.length} layers are more than can be mounted at ${point.Destination}`,
    )
  return {
    destination: posix.join(point.Destination, target).replace(/(?<=.)\/$/, ''),
    type: 'overlay',
    source: 'overlay',
    options: [point.RW ? 'rw' : 'ro', 'redirect_dir=off', 'metacopy=off', ...options],
  }
}

function treeMount(point: MountPoint, spec: MountSpec | undefined, user: OciUser, sources: MountSources): OciMount {
  const request: BindRequest = {
    source: point.Source,
    destination: point.Destination,
    readOnly: !point.RW,
    propagation: point.Propagation,
    ...(spec?.BindOptions?.NonRecursive === true ? { recursive: false } : {}),
    ...(spec?.BindOptions?.ReadOnlyNonRecursive === true ? { recursiveReadOnly: false } : {}),
  }
  if (point.Type === 'bind') {
    const owner = ownerOf(point.Source)
    const source = reachedSource(point.Source, point.client, sources)
    if (/(shared|slave)$/.test(point.Propagation))
      checkPropagation(realpathSync(point.Source), point.Propagation, readFileSync('/proc/self/mountinfo', 'utf8'))
    return point.mapOwner === true
      ? ownerMapped(bindMount({ ...request, source, ownerMap: { owner, user: onMachine(user, sources.idMaps) } }))
      : bindMount({ ...request, source })
  }
  const volume = sources.volume(point.Name ?? '')
  const subpath = spec?.VolumeOptions?.Subpath
  if (subpath) return ownedBy(bindMount({ ...request, source: sources.subpath(volume, subpath) }), sources.idMaps)
  const mounted = volumeMount(volume, request, sources)
  return mounted ?? ownedBy(bindMount({ ...request, source: volume.mountpoint }), sources.idMaps)
}

/** What is the engine's own has its owners on the disk as the container sees them, so a map of the container's is put over it. */
function ownedBy(mount: OciMount, idMaps: IdMaps | undefined): OciMount {
  if (idMaps === undefined) return mount
  return ownerMapped({ ...mount, uidMappings: [...idMaps.uids], gidMappings: [...idMaps.gids] })
}

function onMachine({ uid, gid }: OciUser, idMaps: IdMaps | undefined): Owner {
  if (idMaps === undefined) return { uid, gid }
  return { uid: hostId(idMaps.uids, uid) ?? uid, gid: hostId(idMaps.gids, gid) ?? gid }
}

/** The option says that the mappings are meant for the mount; runtime-spec config.md, `idmap`. */
const ownerMapped = (mount: OciMount): OciMount => ({ ...mount, options: [...(mount.options ?? []), 'idmap'] })

/** A volume that is a file system of its own (driver options type, device, o) is mounted in the container only; wire fact 162. */
function volumeMount(volume: Volume, request: BindRequest, sources: MountSources): OciMount | undefined {
  const { type, device, o } = volume.options
  if (type === undefined && device === undefined) return undefined
  const options = (o ?? '').split(',').filter((word) => word !== '')
  if (isBindVolume(volume.options))
    return bindMount({ ...request, source: reachedSource(device ?? '', volume.client, sources) })
  return {
    destination: request.destination,
    type: type ?? 'none',
    source: device ?? type ?? 'none',
    options: [
      ...options.filter((word) => !word.startsWith('size=')),
      ...sizeOf(volume),
      request.readOnly === true ? 'ro' : 'rw',
    ],
  }
}

const sizeOf = ({ options }: Volume): string[] => {
  const size = options.size ?? /(?:^|,)size=([^,]+)/.exec(options.o ?? '')?.[1]
  return size === undefined ? [] : [`size=${size}`]
}

function reachedSource(path: string, client: Credentials | undefined, sources: MountSources): string {
  if (client === undefined) return path
  try {
    return sources.reached(path, client)
  } catch (error) {
    throw isErrno(error, 'ENOENT', 'ENOTDIR') ? noSource(path) : error
  }
}

const noSource = (path: string): EngineError =>
  new EngineError('invalid', `invalid mount config for type "bind": bind source path does not exist: ${path}`)

function ownerOf(path: string): { uid: number; gid: number } {
  try {
    const { uid, gid } = statSync(path)
    return { uid, gid }
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error
    throw noSource(path)
  }
}

function tmpfsMounts(container: Container): OciMount[] {
  const { Tmpfs = {}, Mounts = [] } = container.hostConfig
  const short = Object.entries(Tmpfs).map(([path, options]) => tmpfsMount(path, options))
  const long = Mounts.filter(({ Type }) => Type === 'tmpfs').map((mount) =>
    tmpfsMount(mount.Target, tmpfsOptions(mount).join(',')),
  )
  return [...short, ...long]
}

function tmpfsOptions({ TmpfsOptions, ReadOnly }: MountSpec): string[] {
  return [
    ...(ReadOnly === true ? ['ro'] : []),
    ...(TmpfsOptions?.SizeBytes ? [`size=${TmpfsOptions.SizeBytes}`] : []),
    ...(TmpfsOptions?.Mode ? [`mode=${TmpfsOptions.Mode.toString(8)}`] : []),
    ...(TmpfsOptions?.Options ?? []).map((pair) => pair.join('=')),
  ]
}
