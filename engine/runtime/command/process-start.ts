/** What `create`, `run` and `exec` share: where a new process's streams come from and lead to, and who is told of it. */
import { closeSync, constants, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { EngineError, messageOf } from '../../base/errors.ts'
import { close, pipe } from '../../kernel/descriptors.ffi.ts'
import { isErrno } from '../../kernel/libc.ffi.ts'
import { currentPid } from '../../kernel/process.ffi.ts'
import { leaveNewLines } from '../../kernel/terminal.ffi.ts'
import { connect, sendDescriptors } from '../../kernel/unix-socket.ffi.ts'
import type { OciProcess } from '../../spec/oci.ts'
import type { SupervisedProcess } from '../create.ts'
import type { StandardStreams } from '../request.ts'
import type { ParsedFlags } from './flags.ts'
import { HostTerminal } from './host-terminal.ts'
import type { Log } from './log.ts'
import type { NotifySocket } from './notify-socket.ts'
import { Relay } from './relay.ts'
import { holdSignals } from './signals.ts'

export type StartOptions = {
  /** Nobody waits here for the process's end. */
  detached: boolean
  consoleSocket?: string
  pidfdSocket?: string
  pidFile?: string
  /** Descriptors from 3 on that the process gets; those of socket activation are counted first. */
  preserved: number
  /** How many of them are said to be of socket activation; sd_listen_fds(3). */
  activation: number
}

/**
 * @param inherited how many descriptors from 3 on are the caller's, without a gap
 * @param activated whether $LISTEN_FDS is passed on
 */
export function startOptions(
  flags: ParsedFlags,
  { detached, inherited, activated }: { detached: boolean; inherited: number; activated: boolean },
): StartOptions {
  const activation = activated ? listenDescriptors() : 0
  const asked = flags.number('preserve-fds') ?? 0
  if (activation + asked > inherited)
    throw new EngineError(
      'invalid',
      `unable to stat preserved-fd ${Math.max(0, inherited - activation)} (of ${asked}): no such file or directory`,
    )
  const [consoleSocket, pidfdSocket, pidFile] = ['console-socket', 'pidfd-socket', 'pid-file'].map((name) =>
    flags.text(name),
  )
  return {
    detached,
    activation,
    preserved: activation + asked,
    ...(consoleSocket === undefined ? {} : { consoleSocket: resolve(consoleSocket) }),
    ...(pidfdSocket === undefined ? {} : { pidfdSocket: resolve(pidfdSocket) }),
    ...(pidFile === undefined ? {} : { pidFile: resolve(pidFile) }),
  }
}

/** Those that were meant for this very process. */
function listenDescriptors(): number {
  const { LISTEN_FDS, LISTEN_PID } = process.env
  const count = Number(LISTEN_FDS ?? '')
  return Number.isInteger(count) && count > 0 && Number(LISTEN_PID) === currentPid() ? count : 0
}

/** The process as the program will find it. */
export const withActivation = (process: OciProcess, { activation }: StartOptions): OciProcess =>
  activation === 0 ? process : { ...process, env: [...(process.env ?? []), `LISTEN_FDS=${activation}`, 'LISTEN_PID=1'] }

export function checkTerminal(terminal: boolean, { detached, consoleSocket }: StartOptions): void {
  if (detached && terminal && consoleSocket === undefined)
    throw new EngineError('invalid', 'cannot allocate tty if runc will detach without setting console socket')
  if ((!detached || !terminal) && consoleSocket !== undefined)
    throw new EngineError('invalid', 'cannot use console socket if runc will not detach or allocate tty')
}

/** From before the fork to the process's end: everything that has to be given back is given back by `dispose`. */
export class ProcessStart implements Disposable {
  /** What becomes the process's standard streams; none where it gets a terminal. */
  readonly streams: StandardStreams | undefined
  readonly #options: StartOptions
  readonly #log: Log
  readonly #cleanup = new DisposableStack()
  readonly #signals: number | undefined
  readonly #terminal: HostTerminal | undefined
  readonly #pipes: { stdin: number; stdout: number; stderr: number } | undefined
  readonly #console: number | undefined
  readonly #pidfdSocket: number | undefined

  constructor(process: OciProcess, options: StartOptions, log: Log) {
    this.#options = options
    this.#log = log
    const terminal = process.terminal === true
    try {
      if (options.pidfdSocket !== undefined) this.#pidfdSocket = this.#connect(options.pidfdSocket)
      if (options.consoleSocket !== undefined) this.#console = this.#connect(options.consoleSocket)
      if (!options.detached) {
        this.#signals = holdSignals()
        if (terminal) this.#terminal = this.#cleanup.use(new HostTerminal())
      }
      if (terminal) return
      if (options.detached) this.streams = { stdin: 0, stdout: 1, stderr: 2 }
      else [this.streams, this.#pipes] = openPipes()
    } catch (error) {
      this.#cleanup.dispose()
      throw error
    }
  }

  #connect(path: string): number {
    try {
      return this.#cleanup.adopt(connect(path), close)
    } catch (error) {
      throw new EngineError('invalid', `dial unix ${path}: ${connectReason(error)}`, { cause: error })
    }
  }

  /** The process is there, set up, and has not run yet. */
  created({ pidfd, master }: SupervisedProcess): void {
    if (this.#pidfdSocket !== undefined) sendDescriptors(this.#pidfdSocket, Buffer.from('pidfd'), [pidfd])
    if (this.#console !== undefined && master !== undefined)
      sendDescriptors(this.#console, Buffer.from('/dev/ptmx'), [master])
    if (this.#pipes !== undefined) for (const fd of Object.values(this.streams!)) close(fd)
    if (this.#terminal !== undefined) {
      leaveNewLines(master!)
      this.#terminal.passSize(master!)
      this.#terminal.makeRaw()
    }
  }

  writePidFile(pid: number): void {
    if (this.#options.pidFile !== undefined) writePidFile(this.#options.pidFile, pid)
  }

  /**
   * Relays until the end of the process; answers its exit code.
   *
   * @param ended called between the process's end and the end of its output: what still holds it open must go
   * @param notify what the container says of its readiness
   */
  follow({ pid, pidfd, master }: SupervisedProcess, ended: () => void, notify?: NotifySocket): number {
    const common = { pid, pidfd, signals: this.#signals!, log: this.#log, ...(notify === undefined ? {} : { notify }) }
    const terminal = this.#terminal
    const relay = new Relay(
      terminal === undefined ? { ...common, pipes: this.#pipes! } : { ...common, terminal, master: master! },
    )
    const exitCode = relay.untilExit()
    ended()
    relay.untilDrained()
    return exitCode
  }

  [Symbol.dispose](): void {
    this.#cleanup.dispose()
  }
}

/** The container's ends, and ours. */
function openPipes(): [StandardStreams, { stdin: number; stdout: number; stderr: number }] {
  const [stdin, stdout, stderr] = [pipe(), pipe(), pipe()]
  return [
    { stdin: stdin.readEnd, stdout: stdout.writeEnd, stderr: stderr.writeEnd },
    { stdin: stdin.writeEnd, stdout: stdout.readEnd, stderr: stderr.readEnd },
  ]
}

const connectReason = (error: unknown): string =>
  isErrno(error, 'ENOENT')
    ? 'connect: no such file or directory'
    : isErrno(error, 'ECONNREFUSED')
      ? 'connect: connection refused'
      : messageOf(error)

/** Whole or not there: written beside, then renamed. */
export function writePidFile(path: string, pid: number): void {
  const beside = join(dirname(path), `.${basename(path)}`)
  rmSync(beside, { force: true })
  const fd = openSync(beside, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o666)
  try {
    writeSync(fd, String(pid))
  } finally {
    closeSync(fd)
  }
  renameSync(beside, path)
}
