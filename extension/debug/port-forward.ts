import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** Listens on a free port of 127.0.0.1 and joins each connection with one of `dial`'s. */
export class PortForward implements AsyncDisposable {
  readonly #dial: () => Promise<Duplex>
  readonly #failed: (error: unknown) => void
  readonly #open = new Set<Duplex>()
  readonly #server = createServer({ allowHalfOpen: true }, (socket) => void this.#join(socket))

  /** `failed` is told why a connection could not be made; the connection is closed then. */
  constructor(dial: () => Promise<Duplex>, failed: (error: unknown) => void) {
    this.#dial = dial
    this.#failed = failed
  }

  /** Resolves with the port. */
  async listen(): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject)
    this.#server.listen({ host: '127.0.0.1', port: 0, exclusive: true }, resolve)
    await promise
    return (this.#server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const end of this.#open) end.destroy()
    await closed
  }

  async #join(socket: Socket): Promise<void> {
    this.#keep(socket)
    try {
      const inside = await this.#dial()
      this.#keep(inside)
      socket.once('close', () => inside.destroy())
      inside.once('close', () => socket.destroy())
      socket.pipe(inside)
      inside.pipe(socket)
      if (socket.destroyed) inside.destroy()
    } catch (error) {
      socket.destroy()
      this.#failed(error)
    }
  }

  #keep(end: Duplex): void {
    this.#open.add(end)
    end.on('error', () => end.destroy())
    end.once('close', () => this.#open.delete(end))
  }
}
