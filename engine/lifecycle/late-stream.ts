/**
 * A stream handed out before what it carries exists: an attachment to a container that has not started. Input waits, with
 * back-pressure, until `connect`; output flows from the first byte after it, behind what was prepended. When the inner
 * stream has ended, this one ends.
 */
import { Duplex } from 'node:stream'

export class LateStream extends Duplex {
  #inner: Duplex | undefined
  #over = false
  #flowing = false
  #abandoned = false
  /** Of what leads, when there is room for more. */
  #wake: (() => void) | undefined
  readonly #connected = Promise.withResolvers<void>()

  constructor() {
    super({ allowHalfOpen: true })
  }

  /** Output that comes first, as fast as it is read; then `flow`. */
  async lead(first: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of first) {
      if (this.destroyed) return
      if (!this.push(chunk)) await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    this.flow()
  }

  /** From now on output of the inner stream is passed on. */
  flow(): void {
    this.#flowing = true
    this.#listen()
    if (this.#abandoned) this.#finishOutput()
  }

  connect(inner: Duplex): void {
    if (this.destroyed || this.#inner !== undefined) {
      inner.destroy()
      return
    }
    this.#inner = inner
    inner.on('error', (error) => this.destroy(error))
    this.#listen()
    this.#connected.resolve()
  }

  #listen(): void {
    const inner = this.#inner
    if (!this.#flowing || inner === undefined) return
    inner.on('end', () => this.#finishOutput())
    inner.on('close', () => this.#finishOutput())
    inner.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) inner.pause()
    })
    if (inner.readableEnded) this.#finishOutput()
  }

  /** There will be nothing to connect to. */
  abandon(): void {
    if (this.#inner !== undefined || this.destroyed) return
    this.#abandoned = true
    if (this.#flowing) this.#finishOutput()
    this.#connected.resolve()
  }

  #finishOutput(): void {
    if (this.#over || this.destroyed) return
    this.#over = true
    this.push(null)
  }

  override _read(): void {
    this.#wake?.()
    if (this.#flowing) this.#inner?.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#whenConnected(() => {
      // Input for a process that has ended, or never was, goes nowhere, as with a closed terminal.
      if (this.#inner?.writable === true) this.#inner.write(chunk, () => done())
      else done()
    })
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#whenConnected(() => {
      this.#inner?.end()
      done()
    })
  }

  #whenConnected(work: () => void): void {
    if (this.#inner === undefined && !this.#over && !this.#abandoned) void this.#connected.promise.then(work)
    else work()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inner?.destroy()
    this.#wake?.()
    this.#connected.resolve()
    done(error)
  }
}
