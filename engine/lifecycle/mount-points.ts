/** From what was asked to be mounted to what is there to be mounted: volumes and directories are made. */
import { closeSync, existsSync, mkdirSync, statSync } from 'node:fs'
import { EngineError, isKind, messageOf } from '../base/errors.ts'
import { newId } from '../base/identifier.ts'
import type { Image } from '../images/image.ts'
import { type Credentials, withRightsOf } from '../kernel/file-rights.ffi.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { mayNot, openForClient } from '../volumes/host-path.ts'
import type { MountPoint } from './container.ts'
import type { Engine } from './engine.ts'
import type { MountRequest } from './mount-request.ts'

/** A request whose volume has its name: anonymous ones are named before they are made, so that a crash leaves a trace. */
export type NamedRequest = MountRequest & { name: string | undefined; anonymous: boolean }

export const nameVolumes = (requests: readonly MountRequest[]): NamedRequest[] =>
  requests.map((request) => ({
    ...request,
    name: request.type === 'volume' ? (request.source ?? newId()) : undefined,
    anonymous: request.type === 'volume' && request.source === undefined,
  }))

/**
 * Throws invalid for a bind whose source must exist and does not, and forbidden for one that the client may not read,
 * before anything is made.
 */
export function checkSources(requests: readonly MountRequest[], client: Credentials | undefined): void {
  for (const { type, source, createSource } of requests) {
    if (type !== 'bind' || source === undefined) continue
    if (client === undefined ? createSource || existsSync(source) : isThereFor(client, source) || createSource) continue
    throw new EngineError('invalid', `invalid mount config for type "bind": bind source path does not exist: ${source}`)
  }
}

function isThereFor(client: Credentials, path: string): boolean {
  try {
    closeSync(openForClient(path, client))
    return true
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error
    return false
  }
}

export type MadeMount = {
  point: MountPoint /** A volume made just now, or found, into which the image's files may be copied. */
  fill: boolean
}

/**
 * @param id of the container that mounts it
 * @param client who asked for it; undefined: root
 */
export async function makeMountPoint(
  engine: Engine,
  id: string,
  request: NamedRequest,
  client: Credentials | undefined,
): Promise<MadeMount> {
  if (request.type === 'volume') return volumePoint(engine, request, client)
  if (request.type === 'bind') return { point: bindPoint(request, client), fill: false }
  if (request.type === 'image') return { point: await imagePoint(engine, id, request), fill: false }
  return { point: { ...plainPoint(request), Type: 'tmpfs', Source: '' }, fill: false }
}

const plainPoint = (request: NamedRequest) => ({
  Destination: request.destination,
  Mode: request.mode,
  RW: !request.readOnly,
  Propagation: request.propagation,
})

/** invalid where there is none: a 404 would have the command line pull the container's own image. */
export function mountedImage(engine: Engine, reference: string): Image {
  try {
    return engine.images.get(reference)
  } catch (error) {
    throw new EngineError('invalid', `invalid mount config for type "image": ${messageOf(error)}`, { cause: error })
  }
}

/** What is written into it goes to a snapshot of the container's own, as in dockerd, and goes with the container. */
async function imagePoint(engine: Engine, id: string, request: NamedRequest): Promise<MountPoint> {
  const image = mountedImage(engine, request.source as string)
  const snapshot = `${id}${request.destination}`
  await engine.snapshotter.prepare(snapshot, image.chainId)
  return { ...plainPoint(request), Type: 'image', Source: image.id, snapshot }
}

function bindPoint(request: NamedRequest, client: Credentials | undefined): MountPoint {
  const source = request.source as string
  if (request.createSource)
    if (client === undefined) makeSource(source)
    else withRightsOf(client, () => makeSource(source, client))
  return {
    Type: 'bind',
    Source: source,
    ...plainPoint(request),
    ...(request.mapOwner ? { mapOwner: true } : {}),
    ...(client === undefined ? {} : { client }),
  }
}

/** With whatever rights the caller has: what is made belongs to the client, and stands where it may make something. */
function makeSource(path: string, client?: Credentials): void {
  try {
    statSync(path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw sourceError(path, error)
    try {
      mkdirSync(path, { recursive: true, mode: 0o755 })
    } catch (failure) {
      if (client !== undefined && isErrno(failure, 'EACCES', 'EPERM')) throw mayNot(path, client, 'make', failure)
      throw sourceError(path, failure)
    }
  }
}

const sourceError = (path: string, cause: unknown): EngineError =>
  new EngineError('invalid', `error while creating mount source path '${path}': ${(cause as Error).message}`, { cause })

function isKnown(engine: Engine, volume: string): boolean {
  try {
    return engine.volumes.get(volume).name === volume
  } catch (error) {
    if (isKind(error, 'not-found')) return false
    throw error
  }
}

async function volumePoint(engine: Engine, request: NamedRequest, client: Credentials | undefined): Promise<MadeMount> {
  const known = isKnown(engine, request.name as string)
  const volume = await engine.volumes.create({
    name: request.name as string,
    driver: request.driver,
    labels: request.anonymous ? { 'com.docker.volume.anonymous': '', ...request.labels } : request.labels,
    options: request.driverOptions,
    ...(client === undefined ? {} : { client }),
  })
  if (!known) engine.events.emit('volume', 'create', volume.name, { driver: volume.driver })
  return {
    point: {
      Type: 'volume',
      Name: volume.name,
      Source: volume.mountpoint,
      Destination: request.destination,
      Driver: volume.driver,
      Mode: request.mode,
      RW: !request.readOnly,
      Propagation: '',
      ...(request.anonymous ? { anonymous: true } : {}),
    },
    // What is mounted from elsewhere is not ours to fill.
    fill: !request.noCopy && Object.keys(volume.options).length === 0,
  }
}
