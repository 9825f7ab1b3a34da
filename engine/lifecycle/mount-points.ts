/** From what was asked to be mounted to what is there to be mounted: volumes and directories are made. */
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { newId } from '../base/identifier.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
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

/** Throws invalid for a bind whose source must exist and does not, before anything is made. */
export function checkSources(requests: readonly MountRequest[]): void {
  for (const { type, source, createSource } of requests) {
    if (type !== 'bind' || createSource || source === undefined || existsSync(source)) continue
    throw new EngineError('invalid', `invalid mount config for type "bind": bind source path does not exist: ${source}`)
  }
}

export type MadeMount = {
  point: MountPoint /** A volume made just now, or found, into which the image's files may be copied. */
  fill: boolean
}

export async function makeMountPoint(engine: Engine, request: NamedRequest): Promise<MadeMount> {
  return request.type === 'bind' ? { point: bindPoint(request), fill: false } : volumePoint(engine, request)
}

function bindPoint(request: NamedRequest): MountPoint {
  const source = request.source as string
  if (request.createSource) makeSource(source)
  return {
    Type: 'bind',
    Source: source,
    Destination: request.destination,
    Mode: request.mode,
    RW: !request.readOnly,
    Propagation: request.propagation,
    ...(request.mapOwner ? { mapOwner: true } : {}),
  }
}

function makeSource(path: string): void {
  try {
    statSync(path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw sourceError(path, error)
    try {
      mkdirSync(path, { recursive: true, mode: 0o755 })
    } catch (failure) {
      throw sourceError(path, failure)
    }
  }
}

const sourceError = (path: string, cause: unknown): EngineError =>
  new EngineError('invalid', `error while creating mount source path '${path}': ${(cause as Error).message}`, { cause })

async function volumePoint(engine: Engine, request: NamedRequest): Promise<MadeMount> {
  const volume = await engine.volumes.create({
    name: request.name as string,
    driver: request.driver,
    labels: request.anonymous ? { 'com.docker.volume.anonymous': '', ...request.labels } : request.labels,
    options: request.driverOptions,
  })
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
