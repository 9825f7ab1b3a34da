/** A real HTTP server on a unix socket in a directory of its own, for one test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

export class SocketServer implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'drydock-face-'))
  readonly path = join(this.directory, 'engine.sock')
  readonly #server
  readonly #connections = new Set<Duplex>()

  constructor(listener: RequestListener, upgrade?: Upgrade) {
    this.#server = createServer(listener)
    this.#server.on('connection', (socket) => {
      this.#connections.add(socket)
      socket.once('close', () => this.#connections.delete(socket))
    })
    if (upgrade) this.#server.on('upgrade', upgrade)
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(this.path, resolve))
    return this
  }

  get connections(): number {
    return this.#connections.size
  }

  /** As a daemon that is killed does. */
  cut(): void {
    for (const connection of this.#connections) connection.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.cut()
    await closed
    rmSync(this.directory, { recursive: true, force: true })
  }
}
