/** What one can do with containers: the contract between the API and the lifecycle. One verb, one file beside this. */
import type { Duplex, Readable } from 'node:stream'
import type { CgroupUse } from '../cgroup/cgroup.ts'
import type { Credentials } from '../kernel/file-rights.ffi.ts'
import type { InterfaceCounters } from '../network/network.ts'
import type { LogPosition } from '../shim/shim.ts'
import type {
  Container,
  ContainerConfig,
  ContainerResources,
  EndpointSettings,
  HostConfig,
  RestartPolicy,
} from './container.ts'

export type CreateContainer = {
  name?: string
  platform?: string
  config: ContainerConfig
  hostConfig: HostConfig
  endpoints: Record<string, EndpointSettings>
  /** With whose rights paths of the machine are mounted; absent: root's. */
  client?: Credentials
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed'
export type WaitResult = { statusCode: number; error?: string }

export type AttachOptions = {
  stdin: boolean
  stdout: boolean
  stderr: boolean
  /** Replay the log first. */
  logs: boolean
  /** Follow live. */
  stream: boolean
  /** Bytes that detach a terminal; undefined: ctrl-p ctrl-q. */
  detachKeys?: Buffer
}

export type LogOptions = {
  stdout: boolean
  stderr: boolean
  follow: boolean
  /** Unix seconds with fraction. */
  since?: number
  until?: number
  timestamps: boolean
  details: boolean
  /** undefined: all. */
  tail?: number
  /** Where it ends, though more may have been written since; `nothing`: it had not begun. */
  end?: LogPosition | 'nothing'
}

export type CreateExec = {
  cmd: string[]
  env: string[]
  user: string
  workingDir: string
  privileged: boolean
  tty: boolean
  attachStdin: boolean
  attachStdout: boolean
  attachStderr: boolean
  detachKeys?: string
  consoleSize?: [height: number, width: number]
}

export type Exec = CreateExec & {
  id: string
  containerId: string
  running: boolean
  exitCode: number | null
  pid: number
  started: boolean
  /** It was killed because its time was over. */
  timedOut?: boolean
}

export type StartExec = {
  detach: boolean
  tty: boolean
  consoleSize?: [height: number, width: number]
  /** Milliseconds until it is killed; undefined: it may run for ever. */
  timeout?: number
}

export type ContainerSample = {
  read: string
  use: CgroupUse
  networks: InterfaceCounters
}

export type PathStat = { name: string; size: number; mode: number; mtime: string; linkTarget: string }

export type Containers = {
  /** Full id, exact name, unique id prefix; wire fact 63. */
  get(reference: string): Container
  /** Newest first, all states. */
  list(): Container[]
  create(request: CreateContainer): Promise<{ id: string; warnings: string[] }>
  /** not-modified when it runs already. */
  start(reference: string): Promise<void>
  /** not-modified when it does not run. `timeout` in seconds: undefined is the container's own, negative waits forever. */
  stop(reference: string, options: { timeout?: number; signal?: string }): Promise<void>
  restart(reference: string, options: { timeout?: number; signal?: string }): Promise<void>
  kill(reference: string, signal: string): Promise<void>
  pause(reference: string): Promise<void>
  unpause(reference: string): Promise<void>
  remove(reference: string, options: { force: boolean; volumes: boolean }): Promise<void>
  rename(reference: string, name: string): Promise<void>
  update(reference: string, resources: ContainerResources, restart?: RestartPolicy): Promise<string[]>
  resize(reference: string, size: { height: number; width: number }): Promise<void>
  /** Registered before it returns (wire fact 42); the promise inside is the exit. */
  wait(reference: string, condition: WaitCondition): { result: Promise<WaitResult>; cancel(): void }
  /** A stream as the wire wants it: raw for a terminal, framed otherwise. Legal before the start; wire fact 22. */
  attach(reference: string, options: AttachOptions): Promise<Duplex>
  /** Framed, or raw for a terminal. */
  logs(reference: string, options: LogOptions): Readable
  top(reference: string, psArguments: string): { Titles: string[]; Processes: string[][] }
  /** not-found for one that does not run. */
  sample(reference: string): ContainerSample
  changes(reference: string): Promise<{ Path: string; Kind: 0 | 1 | 2 }[]>
  exportRoot(reference: string): Promise<Readable>
  statPath(reference: string, path: string): Promise<PathStat>
  readArchive(reference: string, path: string): Promise<{ stat: PathStat; archive: Readable }>
  writeArchive(
    reference: string,
    path: string,
    archive: Readable,
    options: { noOverwriteDirNonDir: boolean; copyUidGid: boolean },
  ): Promise<void>
  /** Ids of the containers that mount a volume, in any state or just being made; wire fact 158. */
  volumeUsers(name: string): string[]
  /** Sizes for `ps -s`: bytes written, bytes in all. */
  size(reference: string): Promise<{ sizeRw: number; sizeRootFs: number }>
  prune(options: {
    filter: (container: Container) => boolean
    dryRun?: boolean
  }): Promise<{ ids: string[]; bytes: number }>
  /** Adds an endpoint on a network, live when the container runs; forbidden for host and container modes. Wire fact 154. */
  connect(reference: string, network: string, settings: EndpointSettings): Promise<void>
  /** Takes it off again. `force`: also when the container is gone. */
  disconnect(reference: string, network: string, force: boolean): Promise<void>
  createExec(reference: string, request: CreateExec): Promise<string>
  /** The stream of an attached exec; undefined when detached. Resolves after the process has started. */
  startExec(execId: string, options: StartExec): Promise<Duplex | undefined>
  resizeExec(execId: string, size: { height: number; width: number }): Promise<void>
  getExec(execId: string): Exec
  execIds(containerId: string): string[]
  /** A TCP connection to 127.0.0.1:port inside the container. */
  dial(reference: string, port: number): Promise<import('node:net').Socket>
}
