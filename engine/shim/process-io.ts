/**
 * The standard streams of one process of the container: outputs are read once and go to the log and to every
 * attachment; inputs of attachments go to the process. For the first process and for each exec alike.
 */
import { again, close, inputError, pipe, pollEvents, read, setNonBlocking, write } from '../kernel/descriptors.ffi.ts'
import { setWindowSize } from '../kernel/terminal.ffi.ts'
import type { StandardStreams } from '../runtime/request.ts'
import type { Connection, InputSink } from './connection.ts'
import type { EventLoop } from './event-loop.ts'
import type { LogStream, LogWriter } from './log-writer.ts'
import type { WindowSize } from './protocol.ts'
import type { AttachStreams } from './shim.ts'

/** Input waiting for a process that does not read. */
const fullInput = 64 * 1024
const chunkSize = 65536
/** Room for the 8-byte header of wire fact 18 before what is read. */
const headerLength = 8
const chunk = Buffer.allocUnsafeSlow(headerLength + chunkSize)
const body = chunk.subarray(headerLength)

const streamNumbers = { stdout: 1, stderr: 2 } as const

export type ProcessIoOptions = {
  loop: EventLoop
  terminal: boolean
  openStdin: boolean
  /** The input ends with the first client's (attach with StdinOnce, and every exec). */
  stdinOnce: boolean
  log?: LogWriter
}

type Output = { stream: LogStream; fd: number }

export class ProcessIo implements InputSink {
  readonly #options: ProcessIoOptions
  readonly #attachments = new Map<Connection, AttachStreams>()
  #outputs: Output[] = []
  #master: number | undefined
  #input: number | undefined
  #inputQueue: Buffer[] = []
  #inputQueued = 0
  #inputEnding = false
  #onDrained: (() => void) | undefined

  constructor(options: ProcessIoOptions) {
    this.#options = options
  }

  /** Pipes for a process without a terminal: the ends the process gets. Close them after the fork. */
  openPipes(nullDevice: number): StandardStreams & { release(): void } {
    const stdout = pipe()
    const stderr = pipe()
    const stdin = this.#options.openStdin ? pipe() : undefined
    this.#addOutput({ stream: 'stdout', fd: stdout.readEnd })
    this.#addOutput({ stream: 'stderr', fd: stderr.readEnd })
    if (stdin !== undefined) this.#setInput(stdin.writeEnd)
    const theirs = [stdout.writeEnd, stderr.writeEnd, ...(stdin === undefined ? [] : [stdin.readEnd])]
    return {
      stdin: stdin?.readEnd ?? nullDevice,
      stdout: stdout.writeEnd,
      stderr: stderr.writeEnd,
      release: () => theirs.forEach(close),
    }
  }

  /** The terminal's master: one descriptor, both ways. */
  setTerminal(master: number): void {
    this.#master = master
    this.#addOutput({ stream: 'stdout', fd: master })
    if (this.#options.openStdin) this.#input = master
  }

  /** @param afterLog whoever it is has read the log: what that does not have yet comes first */
  attach(connection: Connection, streams: AttachStreams, afterLog?: true): void {
    this.#attachments.set(connection, streams)
    if (afterLog) for (const stream of ['stdout', 'stderr'] as const) this.#sendUnfinished(connection, stream)
    if (this.#outputs.length === 0) connection.finish()
  }

  #sendUnfinished(connection: Connection, stream: LogStream): void {
    const wanted = this.#attachments.get(connection)
    const bytes = this.#options.log?.unfinished(stream)
    if (wanted?.[stream] !== true || bytes === undefined || bytes.length === 0) return
    if (wanted.framed ?? !this.#options.terminal) {
      const header = Buffer.alloc(headerLength)
      header.writeUInt32BE(streamNumbers[stream] * 0x1000000, 0)
      header.writeUInt32BE(bytes.length, 4)
      connection.send(header)
    }
    connection.send(bytes)
  }

  detach(connection: Connection): void {
    this.#attachments.delete(connection)
  }

  resize(size: WindowSize): void {
    if (this.#master !== undefined) setWindowSize(this.#master, size)
  }

  hungry(): boolean {
    return this.#inputQueued < fullInput
  }

  /** What cannot be delivered any more is dropped: the process has no input, or closed it. */
  input(data: Buffer): void {
    if (this.#input === undefined || this.#inputEnding) return
    this.#inputQueue.push(Buffer.from(data))
    this.#inputQueued += data.length
    this.#drainInput()
  }

  inputEnded(connection: Connection): void {
    const streams = this.#attachments.get(connection)
    if (streams?.stdin !== true) return
    if (this.#options.terminal) return
    if (this.#options.stdinOnce) this.closeInput()
    else if (this.#options.openStdin) connection.finish()
  }

  /** After what is queued is delivered. A terminal has no end of input. */
  closeInput(): void {
    if (this.#options.terminal) return
    this.#inputEnding = true
    this.#drainInput()
  }

  /**
   * The process has ended: calls back when all its output is out, at the latest after `patience` ms.
   */
  drain(patience: number, done: () => void): void {
    this.#onDrained = done
    this.#closeInputNow()
    if (this.#outputs.length === 0) this.#drained()
    else this.#options.loop.after(patience, () => this.#drained())
  }

  /** Nobody will come for it. */
  abandon(): void {
    for (const output of [...this.#outputs]) this.#ended(output)
    this.#closeInputNow()
  }

  #addOutput(output: Output): void {
    setNonBlocking(output.fd, true)
    this.#outputs.push(output)
    this.#options.loop.watch(output.fd, {
      wants: () => this.#wants(output),
      ready: (events) => this.#ready(output, events),
    })
  }

  #wants(output: Output): number | undefined {
    const writing = output.fd === this.#input && this.#inputQueued > 0 ? pollEvents.POLLOUT : 0
    if (this.#slowest()) return writing === 0 ? undefined : writing
    return pollEvents.POLLIN | writing
  }

  #slowest(): boolean {
    for (const connection of this.#attachments.keys()) if (connection.full) return true
    return false
  }

  #ready(output: Output, events: number): void {
    if ((events & pollEvents.POLLOUT) !== 0) this.#drainInput()
    if ((events & ~pollEvents.POLLOUT) === 0) return
    const count = read(output.fd, body)
    if (count === again) return
    // A terminal whose last user is gone answers EIO: its way to say end of file.
    if (count === 0 || count === inputError || count < 0) this.#ended(output)
    else this.#deliver(output.stream, count)
  }

  #deliver(stream: LogStream, count: number): void {
    this.#options.log?.write(stream, body, count)
    if (this.#attachments.size === 0) return
    chunk.writeUInt32BE(streamNumbers[stream] * 0x1000000, 0)
    chunk.writeUInt32BE(count, 4)
    for (const [connection, wanted] of this.#attachments) {
      if (!wanted[stream]) continue
      const framed = wanted.framed ?? !this.#options.terminal
      connection.send(framed ? chunk.subarray(0, 8 + count) : body.subarray(0, count))
    }
  }

  #ended(output: Output): void {
    this.#options.loop.forget(output.fd)
    this.#options.log?.end(output.stream)
    this.#outputs = this.#outputs.filter((other) => other !== output)
    if (output.fd === this.#master) {
      this.#input = undefined
      this.#master = undefined
    }
    close(output.fd)
    if (this.#outputs.length === 0 && this.#onDrained !== undefined) this.#drained()
  }

  #drained(): void {
    const done = this.#onDrained
    if (done === undefined) return
    this.#onDrained = undefined
    for (const output of [...this.#outputs]) this.#ended(output)
    // The exit is known to the daemon before a client sees the end of its stream: it asks for the code right then.
    done()
    for (const connection of [...this.#attachments.keys()]) connection.finish()
  }

  #setInput(fd: number): void {
    setNonBlocking(fd, true)
    this.#input = fd
    this.#options.loop.watch(fd, {
      wants: () => (this.#inputQueued > 0 ? pollEvents.POLLOUT : 0),
      ready: (events) => {
        if ((events & pollEvents.POLLERR) !== 0) this.#closeInputNow()
        else this.#drainInput()
      },
    })
  }

  #drainInput(): void {
    while (this.#input !== undefined && this.#inputQueue.length > 0) {
      const first = this.#inputQueue[0]!
      const taken = write(this.#input, first)
      if (taken === again) return
      if (taken < 0) {
        this.#closeInputNow()
        return
      }
      this.#inputQueued -= taken
      if (taken < first.length) this.#inputQueue[0] = first.subarray(taken)
      else this.#inputQueue.shift()
    }
    if (this.#inputEnding) this.#closeInputNow()
  }

  #closeInputNow(): void {
    this.#inputQueue = []
    this.#inputQueued = 0
    if (this.#input === undefined) return
    if (this.#input !== this.#master) {
      this.#options.loop.forget(this.#input)
      close(this.#input)
    }
    this.#input = undefined
  }
}
