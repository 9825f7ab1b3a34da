/** The command line's way to the daemon: HTTP over a unix socket, as any other client of the Docker Engine API. */
import { type IncomingMessage, type RequestOptions, request } from 'node:http'
import type { Socket } from 'node:net'

/** What the daemon refused, in its own words. */
export class DaemonError extends Error {
  override readonly name = 'DaemonError'
  readonly status: number

  constructor(status: number, message: string) {
    super(`Error response from daemon: ${message}`)
    this.status = status
  }
}

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>
export type Call = {
  query?: Query
  /** Sent as JSON. */
  body?: unknown
  /** Sent as it is, instead of `body`. */
  stream?: NodeJS.ReadableStream
  headers?: Record<string, string>
}

const version = '/v1.51'

function pathOf(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    if (Array.isArray(value)) for (const item of value as string[]) parameters.append(name, item)
    else if (value !== undefined) parameters.append(name, String(value))
  const text = parameters.toString()
  return `${version}${path}${text === '' ? '' : `?${text}`}`
}

export class ApiClient {
  readonly #socketPath: string

  constructor(socketPath: string) {
    this.#socketPath = socketPath
  }

  /** The answer's head; its body is not read yet. A status of 400 and more throws the daemon's message. */
  async open(method: string, path: string, call: Call = {}): Promise<IncomingMessage> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request(this.#options(method, path, call), resolve)
      outgoing.on('error', (error) => reject(this.#unreachable(error)))
      if (call.stream !== undefined) call.stream.pipe(outgoing)
      else outgoing.end(call.body === undefined ? undefined : JSON.stringify(call.body))
    })
    if ((response.statusCode ?? 500) >= 400) throw await errorOf(response)
    return response
  }

  /** The whole answer as JSON; undefined for an empty one. */
  async json<Answer>(method: string, path: string, call: Call = {}): Promise<Answer> {
    const text = await textOf(await this.open(method, path, call))
    return (text === '' ? undefined : JSON.parse(text)) as Answer
  }

  /** For calls whose answer has no content. */
  async send(method: string, path: string, call: Call = {}): Promise<number> {
    const response = await this.open(method, path, call)
    await textOf(response)
    return response.statusCode ?? 0
  }

  /** A connection taken over for a process's streams; wire fact 14. `framed` tells whether they are multiplexed. */
  hijack(path: string, call: Call = {}): Promise<{ socket: Socket; framed: boolean }> {
    return new Promise((resolve, reject) => {
      const options = this.#options('POST', path, call)
      const outgoing = request({ ...options, headers: { ...options.headers, Connection: 'Upgrade', Upgrade: 'tcp' } })
      outgoing.on('error', (error) => reject(this.#unreachable(error)))
      outgoing.on('response', (response) => void errorOf(response).then(reject, reject))
      outgoing.on('upgrade', (response, socket: Socket, head) => {
        if (head.length > 0) socket.unshift(head)
        resolve({ socket, framed: response.headers['content-type'] === 'application/vnd.docker.multiplexed-stream' })
      })
      outgoing.end(call.body === undefined ? undefined : JSON.stringify(call.body))
    })
  }

  #options(method: string, path: string, call: Call): RequestOptions {
    const type: Record<string, string> = call.body !== undefined ? { 'Content-Type': 'application/json' } : {}
    return {
      socketPath: this.#socketPath,
      method,
      path: pathOf(path, call.query),
      headers: { Host: 'drydock', ...type, ...call.headers },
      agent: false,
    }
  }

  #unreachable(error: Error): Error {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EACCES')
      return new Error(
        `permission denied while trying to connect to the Drydock engine at unix://${this.#socketPath}: the socket belongs to another user`,
      )
    if (code === 'ENOENT' || code === 'ECONNREFUSED')
      return new Error(
        `Cannot connect to the Drydock engine at unix://${this.#socketPath}. Is it running? Start it with: drydock engine`,
      )
    return error
  }
}

export async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8')
  let text = ''
  for await (const chunk of response) text += chunk as string
  return text
}

async function errorOf(response: IncomingMessage): Promise<DaemonError> {
  const text = await textOf(response)
  let message = text.trim()
  try {
    message = (JSON.parse(text) as { message: string }).message
  } catch {
    // Not JSON: its words are the message.
  }
  return new DaemonError(response.statusCode ?? 500, message === '' ? `status ${response.statusCode}` : message)
}

/** The objects of a stream of JSON lines, as they arrive. */
export async function* jsonLines<Line>(response: IncomingMessage): AsyncGenerator<Line> {
  response.setEncoding('utf8')
  let rest = ''
  for await (const chunk of response) {
    const lines = (rest + (chunk as string)).split('\n')
    rest = lines.pop()!
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as Line
  }
  if (rest.trim() !== '') yield JSON.parse(rest) as Line
}

export const containerPath = (name: string, rest = ''): string => `/containers/${encodeURIComponent(name)}${rest}`
