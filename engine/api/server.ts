/** The HTTP server: requests in, answers out. What a request means is in the routes; how it travels is here. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { EngineError, messageOf } from '../base/errors.ts'
import type { Credentials } from '../kernel/file-rights.ffi.ts'
import { peerCredentials } from '../kernel/unix-socket.ffi.ts'
import { span } from '../trace/trace.ts'
import type { Answer } from './answer.ts'
import { type ApiVersion, splitVersion } from './api-version.ts'
import type { Engine } from './engine.ts'
import { wireError } from './errors.ts'
import { check, parseJson, readBody } from './json-body.ts'
import { parseQuery } from './query-text.ts'
import { hijackConnection, rawError, sendPlain } from './raw-answer.ts'
import type { ApiRequest, Route } from './route.ts'
import { type Found, Router } from './router.ts'
import { send, sendError } from './send.ts'
import { decideTakeOver, readTakenBody } from './take-over.ts'
import { serveWebSocket } from './web-socket.ts'

/** As Go's: dockerode repeats whole request bodies in the address. */
const maxHeaderSize = 1024 * 1024

/** Milliseconds that the head of a request may take, and between two looks at those that are late. */
type HeadTiming = { headersTimeout: number; connectionsCheckingInterval: number }
const usualTiming: HeadTiming = { headersTimeout: 60_000, connectionsCheckingInterval: 30_000 }

type Target = Found & { version: ApiVersion; query: Record<string, string | string[]> }

export class ApiServer {
  readonly #engine: Engine
  readonly #router: Router
  readonly #taken = new Set<Socket>()
  readonly http: Server

  constructor(engine: Engine, routes: readonly Route[], timing: HeadTiming = usualTiming) {
    this.#engine = engine
    this.#router = new Router(routes)
    // Uploads and followed logs last as long as they last: only the head of a request has a limit in time.
    this.http = createServer({ maxHeaderSize, requestTimeout: 0, keepAliveTimeout: 120_000, ...timing })
    this.http.on('request', (request, response) => void this.#answer(request, response))
    this.http.on('upgrade', (request, socket, head) => void this.#takeOver(request, socket as Socket, head))
    this.http.on('clientError', refuseMalformed)
    decideTakeOver(this.http, (method, url) => this.#takesOver(method, url))
  }

  /** Stops listening and ends every connection; containers know nothing of it. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.http.close(() => resolve()))
    for (const socket of this.#taken) socket.destroy()
    this.http.closeAllConnections()
    await closed
  }

  #target(method: string, url: string): Target {
    const at = url.indexOf('?')
    const { version, path } = splitVersion(at < 0 ? url : url.slice(0, at))
    return { ...this.#router.find(method, path), version, query: parseQuery(at < 0 ? '' : url.slice(at + 1)) }
  }

  #takesOver(method: string, url: string): boolean {
    try {
      return this.#target(method, url).route.takesOver
    } catch {
      return false
    }
  }

  async #call(target: Target, body: () => Promise<Buffer>, request: ApiRequest): Promise<Answer> {
    const { route } = target
    const params = check(route.params, target.params, 'path')
    const query = check(route.query, target.query, 'query parameter')
    const document =
      route.body === undefined || route.body === 'raw'
        ? undefined
        : check(route.body, parseJson(request.headers['content-type'], await body()), 'request body')
    const input = { params, query, body: document, request } as never
    return span('api', `${route.method} ${route.path}`, () => route.handle(this.#engine, input))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Asked for now: the request knows it no more once a part of the body was read and the rest was not wanted.
    const { socket } = request
    response.once('prefinish', () => {
      if (!request.complete) leaveTimeToRead(socket)
    })
    const gone = new AbortController()
    response.once('close', () => {
      if (!response.writableFinished) gone.abort()
    })
    response.on('error', () => gone.abort())
    try {
      const target = this.#target(request.method ?? '', request.url ?? '')
      const answer = await this.#call(
        target,
        () => readBody(request),
        apiRequest(request, request, target, gone.signal),
      )
      await send(response, answer, gone.signal)
    } catch (error) {
      if (!gone.signal.aborted) sendError(response, error)
    }
  }

  async #takeOver(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    this.#taken.add(socket)
    const gone = new AbortController()
    socket.once('close', () => {
      this.#taken.delete(socket)
      gone.abort()
    })
    socket.on('error', () => gone.abort())
    socket.setTimeout(0)
    if (head.length > 0) socket.unshift(head)
    try {
      const target = this.#target(request.method ?? '', request.url ?? '')
      const hasBody = target.route.body !== undefined || request.headers['content-length'] !== undefined
      const body = hasBody ? await readTakenBody(socket, request.headers) : Buffer.alloc(0)
      const answer = await this.#call(target, async () => body, apiRequest(request, socket, target, gone.signal))
      if (answer.kind === 'hijack') await hijackConnection(socket, request.headers, target.version, answer, gone.signal)
      else if (answer.kind === 'web-socket') await serveWebSocket(request, socket, answer)
      else sendPlain(socket, answer)
    } catch (error) {
      const { status, message } = wireError(error)
      rawError(socket, status, message)
    }
  }
}

const apiRequest = (request: IncomingMessage, stream: Readable, target: Target, signal: AbortSignal): ApiRequest => ({
  version: target.version,
  headers: request.headers,
  stream,
  peer: () => peerOf(request.socket),
  signal,
})

function peerOf(socket: Socket): Credentials {
  const { fd } = (socket as Socket & { _handle?: { fd?: number } | null })._handle ?? {}
  if (fd === undefined || fd < 0) throw new EngineError('unavailable', 'the client is gone')
  return peerCredentials(fd)
}

/** Milliseconds that a client which still sends, or sent nonsense, has to read the answer. */
const lingering = 1000

const destroyLater = (socket: Socket): void => {
  setTimeout(() => socket.destroy(), lingering).unref()
}

/**
 * A connection that is not kept alive ends with the answer. One who is still sending would fail in a write then, and never
 * read what it was told: the end is only said with the answer, and made a moment later.
 */
function leaveTimeToRead(socket: Socket): void {
  socket.destroySoon = () => {
    socket.end()
    destroyLater(socket)
  }
}

/** What is no HTTP request at all gets a sentence, too, where anyone is left to read it. */
function refuseMalformed(error: Error & { code?: string }, socket: Socket): void {
  // What it still sends is an error again: closing on it would take the sentence away before it is read.
  if (socket.writableEnded) return
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  destroyLater(socket)
  if (error.code === 'HPE_HEADER_OVERFLOW')
    rawError(socket, 431, `request header fields too large: more than ${maxHeaderSize} bytes`)
  else if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    rawError(socket, 408, 'request timeout: the head of the request did not come in time')
  else rawError(socket, 400, `malformed HTTP request: ${messageOf(error)}`)
}
