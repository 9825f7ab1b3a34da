/**
 * Connections that stop being HTTP. Node hands over the raw socket, with the bytes that came along, only for requests
 * with an Upgrade header; Docker's attach and exec start take the connection over without one as well, and other
 * routes must ignore the header. So the decision is made here, where the parser has read a request's head.
 */
import type { IncomingHttpHeaders, Server } from 'node:http'
import type { Socket } from 'node:net'
import { Transform, type TransformCallback } from 'node:stream'
import { EngineError } from '../base/errors.ts'
import { invalid } from './errors.ts'
import { largestBody } from './json-body.ts'

type HeadCallback = (...args: unknown[]) => unknown
type Parser = Record<number, HeadCallback> & { constructor: { kOnHeadersComplete?: number } }

/** Arguments of Node's callback: version (2), headers, method, url, status (2), upgrade, keep-alive. */
const methodAt = 3
const urlAt = 4
const upgradeAt = 7

/** llhttp's numbers of the methods that can take over. */
const methodNames: Readonly<Record<number, string>> = { 1: 'GET', 3: 'POST' }

/** Node uses parsers again: what one called before it was first changed here. */
const originals = new WeakMap<Parser, HeadCallback>()

/** After this `server` emits `upgrade` for the requests that `decide` names, and for no others. */
export function decideTakeOver(server: Server, decide: (method: string, url: string) => boolean): void {
  server.on('connection', (socket: Socket & { parser?: Parser }) => {
    const parser = socket.parser
    const slot = parser?.constructor.kOnHeadersComplete
    const original = slot === undefined ? undefined : parser && (originals.get(parser) ?? parser[slot])
    if (parser === undefined || slot === undefined || original === undefined)
      throw new EngineError('internal', 'this Node offers no way to take over an HTTP connection: use Node 24')
    originals.set(parser, original)
    parser[slot] = function (this: Parser, ...args: unknown[]) {
      const method = methodNames[Number(args[methodAt])]
      // Long heads arrive in parts, and then the address comes through another callback, which has stored it.
      const url = typeof args[urlAt] === 'string' ? args[urlAt] : (this as unknown as { _url?: string })._url
      args[upgradeAt] = method !== undefined && url !== undefined && decide(method, url)
      return original.apply(this, args)
    }
  })
}

/**
 * Takes Transfer-Encoding: chunked off; RFC 9112 section 7.1. Ends behind the last chunk and its trailers, which are passed over; what
 * follows goes to `rest`.
 */
class Dechunker extends Transform {
  rest: Buffer = Buffer.alloc(0)
  done = false
  #held: Buffer = Buffer.alloc(0)
  #left = 0
  #trailers = false

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#held = Buffer.concat([this.#held, chunk])
    try {
      while (!this.done && this.#step());
      callback()
    } catch (error) {
      callback(error as Error)
    }
  }

  /** One chunk head or one piece of a chunk's data; false when more bytes are needed. */
  #step(): boolean {
    if (this.#left > 0) {
      const piece = this.#held.subarray(0, this.#left)
      this.#held = this.#held.subarray(piece.length)
      this.#left -= piece.length
      if (piece.length > 0) this.push(piece)
      return this.#held.length > 0
    }
    const at = this.#held.indexOf('\r\n')
    if (at < 0) {
      if (this.#held.length > 4096) throw invalid('malformed chunked body: a chunk size of more than 4096 bytes')
      return false
    }
    const line = this.#held.toString('latin1', 0, at)
    this.#held = this.#held.subarray(at + 2)
    if (this.#trailers) return this.#trailer(line)
    // The empty line is the end of the data of the chunk before.
    if (line === '') return true
    if (!/^[0-9a-fA-F]{1,8}\s*(;.*)?$/.test(line)) throw invalid('malformed chunked body: no chunk size')
    this.#left = Number.parseInt(line, 16)
    this.#trailers = this.#left === 0
    return true
  }

  /** The empty line may come in a piece of its own: taken for what follows, it would be typed into a container. */
  #trailer(line: string): boolean {
    if (line !== '') return true
    this.done = true
    this.rest = this.#held
    this.push(null)
    return false
  }
}

const isChunked = (headers: IncomingHttpHeaders): boolean => /\bchunked\b/i.test(headers['transfer-encoding'] ?? '')

/** Exactly `size` bytes, or fewer where the client ended first. */
async function readExactly(socket: Socket, size: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let missing = size
  while (missing > 0) {
    const chunk: Buffer | null = socket.read(Math.min(missing, Math.max(socket.readableLength, 1)))
    if (chunk !== null) {
      chunks.push(chunk)
      missing -= chunk.length
    } else if (socket.readableEnded || socket.destroyed) break
    else
      await new Promise<void>((resolve) => {
        const done = (): void => {
          for (const name of ['readable', 'end', 'close'] as const) socket.off(name, done)
          resolve()
        }
        for (const name of ['readable', 'end', 'close'] as const) socket.once(name, done)
      })
  }
  return Buffer.concat(chunks)
}

/** Reads the body of a request whose connection was taken over; what follows it stays in the socket. */
export async function readTakenBody(socket: Socket, headers: IncomingHttpHeaders): Promise<Buffer> {
  if (!isChunked(headers)) {
    const size = Number(headers['content-length'] ?? 0)
    if (size > largestBody) throw invalid(`request body too large: ${size} bytes`)
    return readExactly(socket, size)
  }
  const dechunker = new Dechunker()
  const chunks: Buffer[] = []
  let size = 0
  dechunker.on('data', (chunk: Buffer) => {
    size += chunk.length
    chunks.push(chunk)
  })
  const failure = new Promise<never>((_, reject) => dechunker.once('error', reject))
  while (!dechunker.done) {
    const piece = await readExactly(socket, 1)
    if (piece.length === 0) throw invalid('malformed chunked body: it ends early')
    const more: Buffer | null = socket.readableLength > 0 ? socket.read() : null
    const write = new Promise<void>((resolve) =>
      dechunker.write(more === null ? piece : Buffer.concat([piece, more]), () => resolve()),
    )
    await Promise.race([write, failure])
    if (size > largestBody) throw invalid(`request body too large: more than ${largestBody} bytes`)
  }
  if (dechunker.rest.length > 0) socket.unshift(dechunker.rest)
  return Buffer.concat(chunks)
}

/** What a client without an Upgrade header writes may be framed as a chunked body; this takes the frames off. */
export const inputOf = (socket: Socket, headers: IncomingHttpHeaders): Socket | Dechunker =>
  isChunked(headers) && headers.upgrade === undefined ? socket.pipe(new Dechunker()) : socket
