import { StringDecoder } from 'node:string_decoder'
import { payloads } from '../engine-client/frames.ts'
import type { Hijacked } from '../engine-client/transport.ts'

export type Size = { columns: number; rows: number }

/** A process with a terminal of its own, somewhere in the engine. */
export type ConsoleProcess = {
  /** Starts it; the connection has been open since before its first byte of output. */
  open(size: Size | undefined): Promise<Hijacked>
  resize(size: Size): Promise<void>
  /** After the output's end: null where the process has ended, else a new connection once the engine is back. */
  resume?(signal: AbortSignal): Promise<Hijacked | null>
  /** After the output's end. Null where nobody knows. */
  exitCode(): Promise<number | null>
  /** The terminal is gone: nobody will look at the process any more. `hurried`: nor wait for it to end. */
  closed(hurried: boolean): Promise<void>
}

export type ConsoleOutput = {
  write(text: string): void
  /** The process and its output have come to their end. */
  ended(exitCode: number | null): void
  failed(error: unknown): void
}

/** Joins a process and a terminal: bytes to text, size changes in order, one end. */
export class Console {
  readonly #process: ConsoleProcess
  readonly #output: ConsoleOutput
  readonly #closing = new AbortController()
  #connection: Hijacked | undefined
  #typedAhead = ''
  #size: Size | undefined
  #resizing: Promise<void> = Promise.resolve()

  constructor(process: ConsoleProcess, output: ConsoleOutput) {
    this.#process = process
    this.#output = output
  }

  async open(size: Size | undefined): Promise<void> {
    this.#size = size
    try {
      const connection = await this.#process.open(size)
      this.#use(connection)
      if (this.#typedAhead) this.input(this.#typedAhead)
      if (this.#size && this.#size !== size) this.resize(this.#size)
      await this.#pump(connection)
      await this.#resume()
      if (!this.#closed) this.#output.ended(await this.#process.exitCode())
    } catch (error) {
      if (!this.#closed) this.#output.failed(error)
    }
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted
  }

  input(text: string): void {
    if (!this.#connection) this.#typedAhead += text
    else if (this.#connection.socket.writable) this.#connection.socket.write(text)
  }

  /** A process that is just ending can't be resized: that is no failure. */
  resize(size: Size): void {
    this.#size = size
    if (!this.#connection) return
    this.#resizing = this.#resizing.then(() => this.#process.resize(size)).catch(() => undefined)
  }

  /** Resolves when the process has been seen to. Rejects where that failed. */
  async close(hurried = false): Promise<void> {
    this.#closing.abort()
    this.#connection?.socket.destroy()
    await this.#process.closed(hurried)
  }

  #use(connection: Hijacked): void {
    this.#connection = connection
    connection.socket.on('error', () => connection.socket.destroy())
    if (this.#closed) connection.socket.destroy()
  }

  /** A process outlives the engine that it was started by: its terminal waits for the next one. */
  async #resume(): Promise<void> {
    while (!this.#closed) {
      const connection = await this.#process.resume?.(this.#closing.signal)
      if (!connection) return
      this.#use(connection)
      if (this.#size) this.resize(this.#size)
      await this.#pump(connection)
    }
  }

  async #pump({ socket, multiplexed }: Hijacked): Promise<void> {
    const decoder = new StringDecoder('utf8')
    try {
      for await (const chunk of payloads(socket, multiplexed)) this.#output.write(decoder.write(Buffer.from(chunk)))
    } catch {
      // Cut: whether the process has ended as well is asked next.
    }
  }
}
