/** Containers in user namespaces (`--userns-remap`): which are, whom they share theirs with, and what they cannot have then. */
import { readFileSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import type { IdMaps } from '../spec/id-maps.ts'
import type { OciIdMapping } from '../spec/oci.ts'
import type { Container, HostConfig } from './container.ts'
import type { Engine } from './engine.ts'

/** The maps of a container's own user namespace; undefined: it is in the machine's. */
export const idMapsOf = ({ idMaps }: Pick<Engine, 'idMaps'>, host: HostConfig): IdMaps | undefined =>
  host.UsernsMode === 'host' ? undefined : idMaps

const lines = (path: string): OciIdMapping[] =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([containerID = 0, hostID = 0, size = 0]) => ({ containerID, hostID, size }))

/** The maps that a running container really has, whatever the engine is told by now; undefined: the machine's own users. */
export function liveIdMaps(pid: number): IdMaps | undefined {
  const maps = { uids: lines(`/proc/${pid}/uid_map`), gids: lines(`/proc/${pid}/gid_map`) }
  return maps.uids.every(({ containerID, hostID }) => containerID === hostID) ? undefined : maps
}

/** Throws invalid, in dockerd's words, for what needs the machine's own users. */
export function checkUserNamespace(engine: Pick<Engine, 'idMaps'>, host: HostConfig): void {
  if (idMapsOf(engine, host) === undefined) return
  const refuse = (sentence: string): never => {
    throw new EngineError('invalid', sentence)
  }
  if (host.Privileged === true)
    refuse(
      'privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode',
    )
  if (host.NetworkMode === 'host') refuse("cannot share the host's network namespace when user namespaces are enabled")
  if (host.PidMode === 'host') refuse('cannot share the host PID namespace when user namespaces are enabled')
  if (host.Mounts?.some(({ Type }) => Type === 'image') === true)
    refuse('invalid mount config for type "image": not available when user namespaces are enabled')
}

/**
 * The process whose user namespace a container joins, because it joins another of its namespaces: the kernel gives power over
 * one only to members of the other.
 */
export function sharedUserNamespace(engine: Engine, container: Container): number | undefined {
  const { NetworkMode, IpcMode, PidMode } = container.hostConfig
  const others = [NetworkMode, IpcMode, PidMode]
    .filter((mode) => mode?.startsWith('container:') === true)
    .map((mode) => engine.table.get((mode as string).slice('container:'.length)))
  if (others.length === 0) return undefined
  const mapped = idMapsOf(engine, container.hostConfig) !== undefined
  for (const other of others) {
    if (other.run.pid !== 0 && (liveIdMaps(other.run.pid) !== undefined) !== mapped)
      throw new EngineError(
        'conflict',
        `cannot join a namespace of container ${other.id}: only one of the two is in the host's user namespace`,
      )
    if (mapped && other.id !== others[0]?.id)
      throw new EngineError('conflict', 'cannot share namespaces of two containers when user namespaces are enabled')
  }
  return mapped ? others[0]?.run.pid : undefined
}
