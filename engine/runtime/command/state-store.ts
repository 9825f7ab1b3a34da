/**
 * What is known of containers between two commands: ROOT/ID with `state.json`, and `start.sock` while the container's
 * process waits for `start`. Before there is a process there is `creating.json`, so that whatever a killed `create` left
 * is found again. Files are written aside and renamed: a reader sees a whole one or none.
 */
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { EngineError } from '../../base/errors.ts'
import { isErrno } from '../../kernel/libc.ffi.ts'
import { bindDatagrams, connect, listen } from '../../kernel/unix-socket.ffi.ts'
import { formatRecord, parseExactly } from '../../spec/config-json.ts'
import type { OciSpec } from '../../spec/oci.ts'

/** How to find the container's control group again. */
export type CgroupRecord =
  | { kind: 'none' }
  | { kind: 'cgroupfs'; path: string }
  | { kind: 'systemd'; path: string; cgroupsPath: string; scope: 'system' | 'user' }

export type CreationRecord = { cgroup: CgroupRecord }

export type ContainerRecord = CreationRecord & {
  ociVersion: string
  id: string
  /** The host's number of the first process, and when it began (proc_pid_stat(5), field 22): the two name it for good. */
  pid: number
  startTime: string
  /** Absolute. */
  bundle: string
  rootfs: string
  /** RFC 3339. */
  created: string
  /** Made by an ordinary user. */
  rootless: boolean
  /** The name of its session keyring; absent where it has kept that of its maker. */
  keyring?: string
  /** As it was when the container was created, complete. */
  spec: OciSpec
}

const stateFile = 'state.json'
const creationFile = 'creating.json'
const gateName = 'start.sock'
const notifyPlace = 'notify'
export const notifyName = 'notify.sock'

const validId = /^[\w+.-]+$/

export function checkId(id: string | undefined): string {
  if (id === undefined || id === '') throw new EngineError('invalid', 'container id cannot be empty')
  if (!validId.test(id) || id === '.' || id === '..') throw new EngineError('invalid', 'invalid container ID format')
  return id
}

const known = (cause?: unknown): EngineError =>
  new EngineError('conflict', 'container with given ID already exists', { cause })

export class StateStore {
  readonly root: string

  constructor(root: string) {
    this.root = root
  }

  directory(id: string): string {
    return join(this.root, checkId(id))
  }

  /** Before anything else is looked at; `reserve` is what decides. */
  refuseKnown(id: string): void {
    if (statSync(this.directory(id), { throwIfNoEntry: false }) !== undefined) throw known()
  }

  /** The identifier is taken from here on; conflict where it is already. */
  reserve(id: string, creation: CreationRecord): void {
    const directory = this.directory(id)
    mkdirSync(this.root, { recursive: true, mode: 0o700 })
    try {
      mkdirSync(directory, { mode: 0o711 })
    } catch (error) {
      throw isErrno(error, 'EEXIST') ? known(error) : error
    }
    writeFileSync(join(directory, creationFile), JSON.stringify(creation))
  }

  save(record: ContainerRecord): void {
    const path = join(this.directory(record.id), stateFile)
    writeFileSync(`${path}.new`, formatRecord(record))
    renameSync(`${path}.new`, path)
  }

  /** Throws not-found. */
  load(id: string): ContainerRecord {
    const text = this.#read(id, stateFile)
    if (text === undefined) throw new EngineError('not-found', 'container does not exist')
    return parseExactly(text) as ContainerRecord
  }

  /** What a creation that never came to a process was about to make; undefined where there is none. */
  creation(id: string): CreationRecord | undefined {
    const text = this.#read(id, creationFile)
    // Killed in the middle of the write, it had made nothing yet.
    return text === undefined || !text.endsWith('}') ? undefined : (JSON.parse(text) as CreationRecord)
  }

  #read(id: string, name: string): string | undefined {
    try {
      return readFileSync(join(this.directory(id), name), 'utf8')
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    }
  }

  forget(id: string): void {
    rmSync(this.directory(id), { recursive: true, force: true })
  }

  /** Identifiers with the owner of each state directory. Throws ENOENT where the root is not there. */
  list(): { id: string; uid: number }[] {
    const found: { id: string; uid: number }[] = []
    for (const entry of readdirSync(this.root, { withFileTypes: true }).toSorted((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      if (!entry.isDirectory()) continue
      const status = statSync(join(this.root, entry.name), { throwIfNoEntry: false })
      if (status !== undefined) found.push({ id: entry.name, uid: status.uid })
    }
    return found
  }

  /** The listening end of the container's gate; blocking. */
  openGate(id: string): number {
    return this.#throughDirectory(id, (path) => listen(path, { blocking: true }))
  }

  /** A connection to the process that waits; throws ENOENT or ECONNREFUSED where none does. */
  enterGate(id: string): number {
    return this.#throughDirectory(id, (path) => connect(path))
  }

  /** Whether somebody waits behind the gate: a `start` that was killed leaves the name, not the listener. */
  waitsForStart(id: string): boolean {
    try {
      const fd = this.#throughDirectory(id, (path) => connect(path, { wait: false }))
      closeSync(fd)
      return true
    } catch (error) {
      // A full queue has somebody behind it.
      if (isErrno(error, 'EAGAIN')) return true
      if (isErrno(error, 'ENOENT', 'ECONNREFUSED', 'ENOTDIR')) return false
      throw error
    }
  }

  closeGate(id: string): void {
    rmSync(join(this.directory(id), gateName), { force: true })
  }

  /** What the container sees of $NOTIFY_SOCKET: a directory, so that the socket may come later. */
  notifyDirectory(id: string): string {
    return join(this.directory(id), notifyPlace)
  }

  makeNotifyDirectory(id: string): void {
    mkdirSync(this.notifyDirectory(id))
    chmodSync(this.notifyDirectory(id), 0o755)
  }

  /** Any user of the container may speak; undefined where the container was made without. */
  openNotifySocket(id: string): number | undefined {
    if (!existsSync(this.notifyDirectory(id))) return undefined
    return this.#throughDirectory(
      id,
      (path) => {
        rmSync(path, { force: true })
        const fd = bindDatagrams(path)
        chmodSync(path, 0o777)
        return fd
      },
      `${notifyPlace}/${notifyName}`,
    )
  }

  /** A socket's own path is at most 107 bytes, so it is named through its directory's descriptor; unix(7). */
  #throughDirectory<T>(id: string, work: (path: string) => T, name = gateName): T {
    const fd = openSync(this.directory(id), constants.O_DIRECTORY)
    try {
      return work(`/proc/self/fd/${fd}/${name}`)
    } finally {
      closeSync(fd)
    }
  }
}
