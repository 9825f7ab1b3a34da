/** Clients that ask over TCP: connections with a few questions each; RFC 7766. */
import { again, close, pollEvents, read, write } from '../kernel/descriptors.ffi.ts'
import { accept } from '../kernel/unix-socket.ffi.ts'
import { firstFrame, framed } from './forwarder.ts'
import { type PollLoop, Sweep } from './poll-loop.ts'

const mostClients = 32
/** Milliseconds without a question, or without taking its answers. */
const idle = 10_000
/** Bytes of answers that wait for a client; it is not read from while there are more. */
const fullQueue = 65_536

type Client = { fd: number; due: number; incoming: Buffer; outgoing: Buffer; closed: boolean }
export type AskOverStream = (message: Buffer, reply: (answer: Buffer) => void) => void

const received = Buffer.alloc(16_384)

export class StreamClients implements Disposable {
  readonly #loop: PollLoop
  readonly #listener: number
  readonly #ask: AskOverStream
  readonly #clients = new Set<Client>()
  readonly #sweep: Sweep

  constructor(loop: PollLoop, listener: number, ask: AskOverStream) {
    this.#loop = loop
    this.#listener = listener
    this.#ask = ask
    this.#sweep = new Sweep(loop, (now) => this.#endIdle(now))
    loop.watch(listener, {
      wants: () => (this.#clients.size < mostClients ? pollEvents.POLLIN : undefined),
      ready: () => this.#accept(),
    })
  }

  #accept(): void {
    const fd = accept(this.#listener)
    if (fd === undefined) return
    const none = Buffer.alloc(0)
    const client: Client = { fd, due: performance.now() + idle, incoming: none, outgoing: none, closed: false }
    this.#clients.add(client)
    this.#loop.watch(fd, {
      wants: () =>
        (client.outgoing.length < fullQueue ? pollEvents.POLLIN : 0) |
        (client.outgoing.length > 0 ? pollEvents.POLLOUT : 0),
      ready: (events) => this.#serve(client, events),
    })
    this.#sweep.arm(client.due)
  }

  #serve(client: Client, events: number): void {
    if ((events & pollEvents.POLLOUT) !== 0) this.#flush(client)
    if (client.closed || (events & ~pollEvents.POLLOUT) === 0) return
    const length = read(client.fd, received)
    if (length === again) return
    if (length <= 0) {
      this.#end(client)
      return
    }
    client.incoming = Buffer.concat([client.incoming, received.subarray(0, length)])
    for (let message = firstFrame(client.incoming); message !== undefined; message = firstFrame(client.incoming)) {
      client.incoming = client.incoming.subarray(2 + message.length)
      client.due = performance.now() + idle
      this.#ask(Buffer.from(message), (answer) => this.#send(client, answer))
    }
  }

  /** Later than the client's end an answer is nobody's. */
  #send(client: Client, answer: Buffer): void {
    if (client.closed) return
    client.outgoing = Buffer.concat([client.outgoing, framed(answer)])
    this.#flush(client)
  }

  #flush(client: Client): void {
    const taken = write(client.fd, client.outgoing)
    if (taken === again) return
    if (taken < 0) this.#end(client)
    else client.outgoing = client.outgoing.subarray(taken)
  }

  #endIdle(now: number): number | undefined {
    for (const client of [...this.#clients]) if (client.due <= now) this.#end(client)
    return this.#clients.size === 0 ? undefined : Math.min(...[...this.#clients].map(({ due }) => due))
  }

  #end(client: Client): void {
    client.closed = true
    this.#clients.delete(client)
    this.#loop.forget(client.fd)
    close(client.fd)
  }

  [Symbol.dispose](): void {
    for (const client of [...this.#clients]) this.#end(client)
    this.#loop.forget(this.#listener)
    close(this.#listener)
  }
}
