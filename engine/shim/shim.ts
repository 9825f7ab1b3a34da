/**
 * The supervisor of one container, as the daemon sees it. The real one is a forked process that outlives the daemon
 * (main-loop.ts); the daemon holds a socket to it (shim-client.ts). Everything needed to find it again lies in the
 * container's directory under the exec root.
 */
import type { Duplex } from 'node:stream'
import type { OverlayMount } from '../snapshots/snapshotter.ts'
import type { OciProcess, OciResources } from '../spec/oci.ts'

/** What lies in DIR/shim.json beside the OCI bundle's config.json: written by the daemon, read by the shim. */
export type ShimConfig = {
  id: string
  /** Mounted by the container's init in its own mount namespace, on the spec's root.path. */
  rootfs: readonly OverlayMount[]
  /** Owners on the disk are the container's, as the spec maps them. */
  mapOwners?: boolean
  terminal: boolean
  /** Keep stdin open for attachments; otherwise it is /dev/null. */
  openStdin: boolean
  /** Close stdin when the first attached client's input ends. */
  stdinOnce: boolean
  log: LogConfig
}

export type LogConfig = {
  driver: 'json-file' | 'none'
  /** Absolute; rotated to path.1, path.2 … */
  path: string
  /** Bytes; -1 is no limit. */
  maxSize: number
  /** Files kept, the current one included. */
  maxFile: number
  /** Added to each line as `attrs`. */
  attributes?: Record<string, string>
}

/** An end of the log: bytes of the file with this inode number, and all of the files before it. */
export type LogPosition = { inode: number; offset: number }

export type ProcessExit = {
  exitCode: number
  /** RFC 3339 with nanoseconds. */
  exitedAt: string
  /** The kernel killed a process of the container for want of memory. */
  oomKilled: boolean
  /** An exec that was killed because its time was over. */
  timedOut?: boolean
  /** The supervisor itself ended without a word: the exit code is a guess, and everything left was killed. */
  shimLost?: boolean
}

export type AttachStreams = {
  stdin: boolean
  stdout: boolean
  stderr: boolean
  /** Output in Docker's 8-byte frames; default: for all but terminals. */
  framed?: boolean
}

export type ExecRequest = {
  execId: string
  process: OciProcess
  openStdin: boolean
  /** Milliseconds until it is killed; undefined: it may run for ever. */
  timeout?: number
  consoleSize?: { height: number; width: number }
}

export type RuntimeSpan = { name: string; layer: string; start: number; end: number }

export type Shim = {
  readonly pid: number
  /** Host pid of the container's first process; 0 before create. */
  readonly containerPid: number
  /**
   * Runs the OCI create: namespaces, cgroup, mounts; the process waits before execve. Errors are EngineError in
   * runc's words (`exec: "foo": executable file not found in $PATH`), and leave nothing behind.
   */
  create(): Promise<{ pid: number; spans: RuntimeSpan[] }>
  /** Lets the process run; resolves after execve(2) succeeded, rejects with the reason it did not. */
  start(): Promise<{ spans: RuntimeSpan[] }>
  /** Resolves after execve(2) succeeded. Output that nobody attaches to is read and dropped. */
  exec(request: ExecRequest): Promise<{ pid: number }>
  /** The same with its streams, as `attach` gives them, from their first byte on. */
  execAttached(request: ExecRequest, streams: AttachStreams): Promise<{ pid: number; stream: Duplex }>
  /** To the first process, or to the one of an exec. not-found when it has ended. */
  kill(signal: number, execId?: string): Promise<void>
  /** SIGKILL to every process of the container. */
  killAll(): Promise<void>
  resize(size: { height: number; width: number }, execId?: string): Promise<void>
  closeStdin(execId?: string): Promise<void>
  /**
   * Live output from now on, as bytes (terminal) or frames of Docker's 8-byte header (wire fact 18); what is written
   * goes to stdin. Ends when the process has ended and its output is drained. Ending the write side is stdin's end.
   */
  attach(streams: AttachStreams, execId?: string): Promise<Duplex>
  /** As `attach` to the first process, and where the log ends that the stream goes on from; none where none is kept. */
  attachAfterLog(streams: AttachStreams): Promise<{ stream: Duplex; log?: LogPosition }>
  pause(): Promise<void>
  resume(): Promise<void>
  update(resources: OciResources): Promise<void>
  /**
   * Answers the container's questions about names from now on, by the directory's resolver.json. A container that has
   * that file when it starts gets it unasked.
   */
  serveNames(): Promise<void>
  /** Resolves once, also when it has ended before; output is in the log by then. */
  readonly exited: Promise<ProcessExit>
  execExited(execId: string): Promise<ProcessExit>
  /** Lets an ended shim go; its directory may be deleted after. */
  release(): Promise<void>
}

export type Supervisors = {
  /** Forks a shim for the bundle in `directory` (config.json, shim.json). */
  launch(directory: string): Promise<Shim>
  /** Connects to the shim of an earlier daemon; undefined when there is none any more: read `lastExit`, else it was lost. */
  find(directory: string): Promise<Shim | undefined>
  /** What an ended shim left behind in the directory. */
  lastExit(directory: string): ProcessExit | undefined
  /** Whether containers get forked shims, or the fallback of a fresh process each. */
  readonly mode: 'fork' | 'process'
  close(): Promise<void>
}
