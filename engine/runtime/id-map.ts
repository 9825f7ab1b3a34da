/** User namespaces that exist only for their id maps: for id-mapped mounts, and the maps of a container's own. */
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { EngineError, messageOf } from '../base/errors.ts'
import { close, pipe, read } from '../kernel/descriptors.ffi.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { namespaceFlags } from '../kernel/namespaces.ffi.ts'
import { changeOwner, fileTypes, statusOf } from '../kernel/paths.ffi.ts'
import { clone, exit, reap } from '../kernel/process.ffi.ts'
import { hostId } from '../spec/id-maps.ts'
import type { OciIdMapping, OciProcess, OciSpec } from '../spec/oci.ts'
import type { StandardStreams } from './request.ts'
import { findProgram, outputOf } from './run-program.ts'

const lines = (mappings: readonly OciIdMapping[]): string =>
  mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('')

/**
 * One write each, as user_namespaces(7) asks. Who has no power over ids may map the own one, and others by the programs
 * that /etc/subuid and /etc/subgid are for.
 */
export function writeIdMaps(pid: number, uids: readonly OciIdMapping[], gids: readonly OciIdMapping[]): void {
  writeMap(pid, 'uid', uids, process.geteuid?.())
  writeMap(pid, 'gid', gids, process.getegid?.())
}

function writeMap(pid: number, kind: 'uid' | 'gid', mappings: readonly OciIdMapping[], own: number | undefined): void {
  const path = `/proc/${pid}/${kind}_map`
  try {
    const onlyOwn = mappings.length === 1 && mappings[0]!.size === 1 && mappings[0]!.hostID === own
    // Or a group that forbids something could be left by leaving it.
    if (kind === 'gid' && onlyOwn && process.geteuid?.() !== 0) writeFileSync(`/proc/${pid}/setgroups`, 'deny')
    writeFileSync(path, lines(mappings))
  } catch (error) {
    const helper = isErrno(error, 'EPERM') ? findProgram(`new${kind}map`) : undefined
    if (helper === undefined)
      throw new EngineError(
        'forbidden',
        `linux.${kind}Mappings: writing ${path}: ${messageOf(error)}; more ids than one's own need new${kind}map(1)`,
        { cause: error },
      )
    outputOf(helper, [String(pid), ...lines(mappings).trim().split(/\s/)])
  }
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

/** User namespaces by their maps, made when they are asked for, or by their path: mounts of one container mostly share theirs. */
export class UserNamespaces implements Disposable {
  readonly #known = new Map<string, number>()

  get(uids: readonly OciIdMapping[], gids: readonly OciIdMapping[]): number {
    const key = `${lines(uids)}/${lines(gids)}`
    const fd = this.#known.get(key) ?? makeUserNamespace(uids, gids)
    this.#known.set(key, fd)
    return fd
  }

  /** One that is there already, by its path. */
  open(path: string): number {
    const fd = this.#known.get(path) ?? openSync(path, 'r')
    this.#known.set(path, fd)
    return fd
  }

  [Symbol.dispose](): void {
    for (const fd of this.#known.values()) closeSync(fd)
    this.#known.clear()
  }
}

/**
 * Pipes belong to the user of a mapped container, who may open /dev/stdout anew: only the machine's root can give them
 * away, and who is in the namespace is not that. What everybody shares (the null device) stays as it is.
 */
export function giveStreams(
  { stdin, stdout, stderr }: StandardStreams,
  { linux }: OciSpec,
  { user }: OciProcess,
): void {
  const uid = hostId(linux?.uidMappings ?? [], user.uid)
  const gid = hostId(linux?.gidMappings ?? [], user.gid)
  if (uid === undefined || gid === undefined) return
  for (const fd of [stdin, stdout, stderr]) {
    if ((statusOf(fd).mode & fileTypes.S_IFMT) !== fileTypes.S_IFIFO) continue
    try {
      changeOwner(fd, uid, gid)
    } catch (error) {
      // An ordinary user's runtime: its own pipes will do for who it is itself.
      if (!isErrno(error, 'EPERM')) throw error
    }
  }
}
