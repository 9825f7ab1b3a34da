import { Agent, type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { AbortedError, ApiError, isAbort, UnreachableError } from './errors.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD'

export type Ask = {
  query?: Record<string, string | number | boolean | undefined>
  body?: unknown
  signal?: AbortSignal
}

/** An upgraded connection: raw bytes both ways, `multiplexed` says whether output is in Docker's 8-byte frames. */
export type Hijacked = { socket: Duplex; multiplexed: boolean }

const apiVersion = '/v1.51'

/**
 * HTTP over the engine's unix socket. Each request has its own connection: an engine that was restarted leaves no
 * half-dead ones behind, and a local connection costs less than a tenth of a millisecond.
 */
export class Transport {
  readonly socketPath: string
  readonly #agent = new Agent({ keepAlive: false })

  constructor(socketPath: string) {
    this.socketPath = socketPath
  }

  /** Resolves with the response head; the caller reads the body. Rejects with ApiError for a status of 400 and above. */
  async send(method: Method, path: string, ask: Ask = {}): Promise<IncomingMessage> {
    const response = await this.#exchange(method, path, ask)
    const status = response.statusCode ?? 0
    if (status >= 400) throw new ApiError(status, await errorText(response))
    return response
  }

  async json<T>(method: Method, path: string, ask: Ask = {}): Promise<T> {
    return JSON.parse(await text(await this.send(method, path, ask))) as T
  }

  /** For answers whose body says nothing. Resolves with the status. */
  async done(method: Method, path: string, ask: Ask = {}): Promise<number> {
    const response = await this.send(method, path, ask)
    response.resume()
    return response.statusCode ?? 0
  }

  /** Docker's hijack: asks for `Upgrade: tcp` and hands over the connection after the 101. */
  upgrade(path: string, ask: Ask = {}): Promise<Hijacked> {
    const { promise, resolve, reject } = Promise.withResolvers<Hijacked>()
    const sent = request(this.#options('POST', path, ask, { Connection: 'Upgrade', Upgrade: 'tcp' }))
    sent.once('upgrade', (response, socket, head) => {
      if (head.length > 0) socket.unshift(head)
      const multiplexed = response.headers['content-type'] === 'application/vnd.docker.multiplexed-stream'
      resolve({ socket, multiplexed })
    })
    sent.once('response', (response) => {
      errorText(response).then((message) => reject(new ApiError(response.statusCode ?? 0, message)), reject)
    })
    sent.once('error', (error) => reject(this.#failure(error)))
    sent.end(ask.body === undefined ? undefined : JSON.stringify(ask.body))
    return promise
  }

  #exchange(method: Method, path: string, ask: Ask): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    let open: { destroy(error: Error): unknown }
    const sent = request(this.#options(method, path, ask, {}), (response) => {
      open = response
      resolve(response)
    })
    open = sent
    onAbort(ask.signal, sent, (reason) => open.destroy(reason))
    sent.once('error', (error) => reject(this.#failure(error)))
    sent.end(ask.body === undefined ? undefined : JSON.stringify(ask.body))
    return promise
  }

  #options(method: Method, path: string, ask: Ask, headers: Record<string, string>): RequestOptions {
    const body = ask.body === undefined ? {} : { 'Content-Type': 'application/json' }
    return {
      socketPath: this.socketPath,
      agent: this.#agent,
      method,
      path: pathOf(path, ask.query),
      headers: { Host: 'drydock', ...body, ...headers },
    }
  }

  #failure(error: NodeJS.ErrnoException): Error {
    if (isAbort(error) || !error.code) return error
    return new UnreachableError(this.socketPath, error.code, { cause: error })
  }
}

/**
 * Node's own `signal` option ends a body that is being read with the same error as a peer that hangs up does; whoever
 * reads has to be able to tell the two apart.
 */
function onAbort(signal: AbortSignal | undefined, sent: ClientRequest, act: (reason: Error) => void): void {
  if (!signal) return
  const abort = (): void => act(new AbortedError())
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  sent.once('close', () => signal.removeEventListener('abort', abort))
}

function pathOf(path: string, query: Ask['query'] = {}): string {
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value))
  const prefix = path.startsWith('/drydock/') || path === '/_ping' ? '' : apiVersion
  return prefix + path + (search.size > 0 ? `?${search}` : '')
}

/** Docker answers `{"message": …}`; anything else is shown as it came. */
async function errorText(response: IncomingMessage): Promise<string> {
  const body = await text(response)
  try {
    const { message } = JSON.parse(body) as { message?: unknown }
    if (typeof message === 'string') return message
  } catch {
    // Not JSON: the body itself is the best there is.
  }
  return body.trim() || `The engine answered with status ${response.statusCode}.`
}
