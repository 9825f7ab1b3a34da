/**
 * What a foreground command does until the container's process ends: bytes between its own standard streams and the
 * container's terminal or pipes, signals to the process, orphans reaped. One poll(2) loop.
 */
import {
  again,
  close,
  inputError,
  PollSet,
  pollEvents,
  read,
  setNonBlocking,
  write,
} from '../../kernel/descriptors.ffi.ts'
import { currentPid, pidfdSendSignal, reap } from '../../kernel/process.ffi.ts'
import { signalInfoSize, signalNumberIn } from '../../kernel/signals.ffi.ts'
import { signalNumbers } from '../../kernel/signals.table.ts'
import type { HostTerminal } from './host-terminal.ts'
import type { Log } from './log.ts'
import type { NotifySocket } from './notify-socket.ts'

const chunkSize = 65536
/** A pipe or terminal that poll(2) calls writable takes this many bytes without blocking; pipe(7) PIPE_BUF. */
const safeWrite = 4096

type Ends = {
  from: number
  to: number
  /** The writing end is the container's input, and closes when the reading one does. */
  closesTarget: boolean
}

/** One direction: read, keep, write on. */
class Flow {
  readonly ends: Ends
  #kept: Buffer = Buffer.alloc(0)
  #over = false
  readonly #chunk = Buffer.allocUnsafeSlow(chunkSize)

  constructor(ends: Ends) {
    this.ends = ends
  }

  get over(): boolean {
    return this.#over
  }

  get full(): boolean {
    return this.#kept.length > 0
  }

  fill(): void {
    const count = read(this.ends.from, this.#chunk)
    if (count > 0) this.#kept = this.#chunk.subarray(0, count)
    // EIO: the last process has left the container's terminal.
    else if (count === 0 || count === inputError || count !== again) this.end()
  }

  drain(): void {
    const written = write(this.ends.to, this.#kept.subarray(0, safeWrite))
    if (written === again) return
    if (written < 0) this.end()
    else this.#kept = this.#kept.subarray(written)
  }

  end(): void {
    if (!this.#over && this.ends.closesTarget) close(this.ends.to)
    this.#over = true
    this.#kept = Buffer.alloc(0)
  }
}

export type Foreground = {
  pid: number
  pidfd: number
  /** From `holdSignals`. */
  signals: number
  log: Log
  notify?: NotifySocket
} & ({ terminal: HostTerminal; master: number } | { pipes: { stdin: number; stdout: number; stderr: number } })

export class Relay {
  readonly #what: Foreground
  readonly #polls = new PollSet()
  readonly #input: Flow
  readonly #outputs: readonly Flow[]
  readonly #signal = Buffer.alloc(signalInfoSize)
  #exitCode: number | undefined

  constructor(what: Foreground) {
    this.#what = what
    if ('master' in what) {
      setNonBlocking(what.master, true)
      this.#input = new Flow({ from: 0, to: what.master, closesTarget: false })
      this.#outputs = [new Flow({ from: what.master, to: 1, closesTarget: false })]
    } else {
      setNonBlocking(what.pipes.stdin, true)
      this.#input = new Flow({ from: 0, to: what.pipes.stdin, closesTarget: true })
      this.#outputs = [
        new Flow({ from: what.pipes.stdout, to: 1, closesTarget: false }),
        new Flow({ from: what.pipes.stderr, to: 2, closesTarget: false }),
      ]
    }
  }

  /** The process's exit code, or 128 and the signal that ended it. */
  untilExit(): number {
    while (this.#exitCode === undefined) this.#step()
    return this.#exitCode
  }

  /** What was written and is still on its way. */
  untilDrained(): void {
    this.#input.end()
    while (this.#outputs.some(({ over }) => !over)) this.#step()
  }

  #step(): void {
    const polls = this.#polls
    polls.clear()
    const signals = polls.add(this.#what.signals, pollEvents.POLLIN)
    const { notify } = this.#what
    const said = notify === undefined ? undefined : polls.add(notify.fd, pollEvents.POLLIN)
    const end = this.#exitCode === undefined ? polls.add(this.#what.pidfd, pollEvents.POLLIN) : undefined
    const waiting = [this.#input, ...this.#outputs]
      .filter(({ over }) => !over)
      .map((flow) => ({
        flow,
        slot: polls.add(flow.full ? flow.ends.to : flow.ends.from, flow.full ? pollEvents.POLLOUT : pollEvents.POLLIN),
      }))
    polls.wait(-1)
    for (const { flow, slot } of waiting) {
      const events = polls.events(slot)
      if (events === 0) continue
      // A closed standard stream of ours (POLLNVAL) is one that never says anything.
      if ((events & pollEvents.POLLNVAL) !== 0) flow.end()
      else if (flow.full) flow.drain()
      else flow.fill()
    }
    if (said !== undefined && polls.events(said) !== 0 && notify!.take()) notify!.pass(currentPid(), 'and go on')
    if (polls.events(signals) !== 0) this.#takeSignals()
    if (end !== undefined && polls.events(end) !== 0) this.#reapAll()
  }

  #takeSignals(): void {
    while (read(this.#what.signals, this.#signal) > 0) {
      const signal = signalNumberIn(this.#signal)
      if (signal === signalNumbers.SIGCHLD) this.#reapAll()
      else if (signal === signalNumbers.SIGWINCH && 'terminal' in this.#what)
        this.#what.terminal.passSize(this.#what.master)
      else this.#forward(signal)
    }
  }

  #forward(signal: number): void {
    this.#what.log.debug(`forwarding signal ${signal} to ${this.#what.pid}`)
    try {
      pidfdSendSignal(this.#what.pidfd, signal)
    } catch {
      // It has just ended: that is told by SIGCHLD.
    }
  }

  #reapAll(): void {
    for (let child = reap(); child !== undefined; child = reap()) {
      this.#what.log.debug(`process ${child.pid} exited with ${child.exitCode}`)
      if (child.pid === this.#what.pid) this.#exitCode = child.exitCode
    }
  }
}
