/** User namespaces that exist only for their id maps: for id-mapped mounts, and the maps of a container's own. */
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { close, pipe, read } from '../kernel/descriptors.ffi.ts'
import { namespaceFlags } from '../kernel/namespaces.ffi.ts'
import { clone, exit, reap } from '../kernel/process.ffi.ts'
import type { OciIdMapping, OciMount } from '../spec/oci.ts'

const lines = (mappings: readonly OciIdMapping[]): string =>
  mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('')

/** One write each, as user_namespaces(7) asks; by a process of the parent namespace with CAP_SETUID and CAP_SETGID. */
export function writeIdMaps(pid: number, uids: readonly OciIdMapping[], gids: readonly OciIdMapping[]): void {
  writeFileSync(`/proc/${pid}/uid_map`, lines(uids))
  writeFileSync(`/proc/${pid}/gid_map`, lines(gids))
}

/** A descriptor of a new user namespace with these maps; its only process ends before this returns. */
export function makeUserNamespace(uids: readonly OciIdMapping[], gids: readonly OciIdMapping[]): number {
  const gate = pipe()
  const { pid } = clone({ flags: namespaceFlags(['user']) })
  if (pid === 0) {
    close(gate.writeEnd)
    read(gate.readEnd, Buffer.alloc(1))
    exit(0)
  }
  close(gate.readEnd)
  try {
    writeIdMaps(pid, uids, gids)
    return openSync(`/proc/${pid}/ns/user`, 'r')
  } finally {
    close(gate.writeEnd)
    reap({ pid, block: true })
  }
}

/** The user namespaces that `idmap` mounts ask for, by index; the caller closes them once the child has its copies. */
export function openIdMaps(mounts: readonly OciMount[]): Map<number, number> {
  const maps = new Map<number, number>()
  for (const [index, { options, uidMappings, gidMappings, destination }] of mounts.entries()) {
    if (options?.some((option) => option === 'idmap' || option === 'ridmap') !== true) continue
    if (uidMappings === undefined || gidMappings === undefined) {
      closeIdMaps(maps)
      throw new EngineError('invalid', `mounts[${index}] (${destination}): idmap needs uidMappings and gidMappings`)
    }
    maps.set(index, makeUserNamespace(uidMappings, gidMappings))
  }
  return maps
}

export const closeIdMaps = (maps: ReadonlyMap<number, number>): void => {
  for (const fd of maps.values()) closeSync(fd)
}
