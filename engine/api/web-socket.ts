/** Answers that go over a WebSocket; wire fact 38. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { type Duplex, pipeline, Transform, type TransformCallback } from 'node:stream'
import type { WebSocketAnswer } from './answer.ts'
import { commonHeaders } from './headers.ts'
import { rawError } from './raw-answer.ts'

/** Takes Docker's frames off, as far as they are there: messages carry what the container wrote, and nothing else. */
class Unframer extends Transform {
  #header: Buffer = Buffer.alloc(0)
  #left = 0

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    let rest = chunk
    while (rest.length > 0) {
      if (this.#left === 0) {
        const missing = 8 - this.#header.length
        this.#header = Buffer.concat([this.#header, rest.subarray(0, missing)])
        rest = rest.subarray(missing)
        if (this.#header.length < 8) break
        this.#left = this.#header.readUInt32BE(4)
        this.#header = Buffer.alloc(0)
      }
      const piece = rest.subarray(0, this.#left)
      if (piece.length > 0) this.push(piece)
      this.#left -= piece.length
      rest = rest.subarray(piece.length)
    }
    callback()
  }
}

/**
 * Whether the page that the request comes from, if it does, is this server's own. Browsers say where a page is from and
 * ask nobody before they connect; whoever has put a TCP port before the socket must not have opened it to every page.
 */
export function sameOrigin({ origin, host }: IncomingMessage['headers']): boolean {
  if (origin === undefined) return true
  return URL.canParse(origin) && new URL(origin).host === host
}

/** Joins the container's streams to the connection, until either ends. */
export async function serveWebSocket(request: IncomingMessage, socket: Socket, answer: WebSocketAnswer): Promise<void> {
  const { acceptWebSocket } = await import('./web-socket-server.ts')
  const refuse = (status: number, why: string): void => {
    answer.stream.destroy()
    rawError(socket, status, why)
  }
  if (!sameOrigin(request.headers)) {
    refuse(403, `pages of ${request.headers.origin} may not attach to containers here`)
    return
  }
  const messages = acceptWebSocket(request, socket, commonHeaders, (why) =>
    refuse(400, `no WebSocket handshake: ${why}`),
  )
  if (messages !== undefined) join(answer, messages)
}

function join({ stream, framed }: WebSocketAnswer, messages: Duplex): void {
  // What fails on either side ends both; there is nobody left to be told.
  const done = (): void => {
    stream.destroy()
  }
  if (framed) pipeline(stream, new Unframer(), messages, done)
  else pipeline(stream, messages, done)
  messages.on('data', (chunk: Buffer) => {
    if (stream.writable && !stream.write(chunk)) {
      messages.pause()
      stream.once('drain', () => messages.resume())
    }
  })
}
