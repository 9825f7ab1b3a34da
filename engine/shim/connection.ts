/** One client of the shim: a control connection in frames, or, after its `attach`, the bytes of a process. */
import { again, close, pollEvents, read, write } from '../kernel/descriptors.ffi.ts'
import { endWrites } from '../kernel/unix-socket.ffi.ts'
import type { EventLoop, Watcher } from './event-loop.ts'
import { encodeFrame, FrameReader, type RequestFrame, type ShimFrame } from './protocol.ts'

/** Above this many bytes waiting for a client, its process is no longer read from: it feels the client's pace. */
const fullQueue = 256 * 1024

export type ConnectionOwner = {
  request(connection: Connection, frame: RequestFrame): void
  closed(connection: Connection): void
}

/** Where an attachment's input goes. */
export type InputSink = {
  /** Takes some bytes; false when it wants no more for now. */
  input(data: Buffer): void
  hungry(): boolean
  inputEnded(connection: Connection): void
}

const scratch = Buffer.allocUnsafeSlow(65536)

export class Connection implements Watcher {
  readonly fd: number
  readonly #loop: EventLoop
  readonly #owner: ConnectionOwner
  readonly #frames = new FrameReader()
  #queue: Buffer[] = []
  #queued = 0
  #sink: InputSink | undefined
  #readEnded = false
  #ending = false
  #closed = false

  constructor(fd: number, loop: EventLoop, owner: ConnectionOwner) {
    this.fd = fd
    this.#loop = loop
    this.#owner = owner
    loop.watch(fd, this)
  }

  get full(): boolean {
    return this.#queued > fullQueue
  }

  wants(): number {
    const reading = !this.#readEnded && (this.#sink === undefined || this.#sink.hungry())
    return (reading ? pollEvents.POLLIN : 0) | (this.#queued > 0 ? pollEvents.POLLOUT : 0)
  }

  ready(events: number): void {
    if ((events & pollEvents.POLLOUT) !== 0) this.#drain()
    if (this.#closed) return
    if ((events & pollEvents.POLLIN) !== 0 && !this.#readEnded) this.#read()
    else if ((events & (pollEvents.POLLHUP | pollEvents.POLLERR)) !== 0) this.close()
  }

  sendFrame(frame: ShimFrame): void {
    this.send(encodeFrame(frame))
  }

  /** Queues what the socket does not take at once; `data` is copied then. */
  send(data: Buffer): void {
    if (this.#closed || this.#ending) return
    let taken = 0
    if (this.#queued === 0) {
      taken = write(this.fd, data)
      if (taken < 0 && taken !== again) {
        this.close()
        return
      }
      taken = Math.max(taken, 0)
    }
    if (taken < data.length) {
      this.#queue.push(Buffer.from(data.subarray(taken)))
      this.#queued += data.length - taken
    }
  }

  /** From now on the client's bytes are input for a process. What came behind the frame already is delivered. */
  become(sink: InputSink): void {
    this.#sink = sink
    const rest = this.#frames.rest()
    if (rest.length > 0) sink.input(rest)
  }

  /** No more output: closes once everything queued is sent. */
  finish(): void {
    this.#ending = true
    if (this.#queued === 0) this.close()
  }

  /** Its descriptor goes on as somebody else's; undefined where not everything has been sent. */
  surrender(): number | undefined {
    if (this.#closed || this.#queued > 0) return undefined
    this.#closed = true
    this.#loop.forget(this.fd)
    return this.fd
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#loop.forget(this.fd)
    endWrites(this.fd)
    close(this.fd)
    this.#owner.closed(this)
  }

  #drain(): void {
    while (this.#queue.length > 0) {
      const first = this.#queue[0]!
      const taken = write(this.fd, first)
      if (taken === again) return
      if (taken < 0) {
        this.close()
        return
      }
      this.#queued -= taken
      if (taken < first.length) this.#queue[0] = first.subarray(taken)
      else this.#queue.shift()
      if (taken < first.length) return
    }
    if (this.#ending) this.close()
  }

  #read(): void {
    const count = read(this.fd, scratch)
    if (count === again) return
    if (count <= 0) {
      this.#readEnded = true
      if (count < 0 || this.#sink === undefined) this.close()
      else this.#sink.inputEnded(this)
      return
    }
    if (this.#sink !== undefined) this.#sink.input(scratch.subarray(0, count))
    else this.#readFrames(count)
  }

  #readFrames(count: number): void {
    this.#frames.add(scratch.subarray(0, count))
    try {
      for (;;) {
        const frame = this.#sink === undefined && !this.#closed ? this.#frames.next<RequestFrame>() : undefined
        if (frame === undefined) return
        this.#owner.request(this, frame)
      }
    } catch {
      // Not our protocol: there is nothing to answer to.
      this.close()
    }
  }
}
