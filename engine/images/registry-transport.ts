/** HTTP to registries: one connection pool, redirects by hand so that credentials stay where they belong. */
import type { Dispatcher } from 'undici'
import type { RegistryConfig } from './registry-config.ts'
import { errorOfAnswer, errorOfNetwork, RegistryError } from './registry-errors.ts'

type HttpClient = typeof import('./http-client.ts')

export type WireRequest = {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH'
  url: URL
  headers?: Record<string, string>
  body?: Dispatcher.DispatchOptions['body']
  signal?: AbortSignal | undefined
  /** Certificates are not checked, and https may redirect to http. */
  insecure: boolean
}

export type WireResponse = Dispatcher.ResponseData & { url: URL }

const redirects: readonly number[] = [301, 302, 303, 307, 308]
const mostRedirects = 5

/** `Get "https://host/v2/"`: how Docker's messages name a request. */
export const requestName = ({ method, url }: Pick<WireRequest, 'method' | 'url'>): string =>
  `${method[0]}${method.slice(1).toLowerCase()} "${url.origin}${url.pathname}"`

export class Transport implements AsyncDisposable {
  readonly #config: RegistryConfig
  readonly #dispatchers = new Map<string, Dispatcher>()

  constructor(config: RegistryConfig) {
    this.#config = config
  }

  /** The answer, whatever its status; RegistryError when there was none; the signal's reason when it was aborted. */
  async send(wire: WireRequest): Promise<WireResponse> {
    let url = wire.url
    let headers = { 'user-agent': 'drydock', 'accept-encoding': 'identity', ...wire.headers }
    for (let hop = 0; hop <= mostRedirects; hop++) {
      const response = await this.#exchange({ ...wire, url, headers })
      const location = response.headers.location
      if (!redirects.includes(response.statusCode) || typeof location !== 'string') return { ...response, url }
      if (wire.method !== 'GET' && wire.method !== 'HEAD') return { ...response, url }
      await response.body.dump()
      const next = redirected(wire, url, location)
      if (next.origin !== url.origin) {
        const { authorization: _, ...rest } = headers as Record<string, string>
        headers = rest as typeof headers
      }
      url = next
    }
    throw new RegistryError('unavailable', requestName(wire), `stopped after ${mostRedirects} redirects`)
  }

  async #exchange(wire: WireRequest): Promise<Dispatcher.ResponseData> {
    const client = await import('./http-client.ts')
    wire.signal?.throwIfAborted()
    try {
      return await client.ask(wire.url, {
        method: wire.method,
        dispatcher: this.#dispatcher(client, wire),
        headersTimeout: this.#config.headersTimeout,
        bodyTimeout: this.#config.stallTimeout,
        ...(wire.headers !== undefined && { headers: wire.headers }),
        ...(wire.body !== undefined && { body: wire.body }),
        ...(wire.signal !== undefined && { signal: wire.signal }),
      })
    } catch (error) {
      wire.signal?.throwIfAborted()
      throw errorOfNetwork(requestName(wire), wire.url, error)
    }
  }

  /** Go never takes a proxy for loopback; the rest follows HTTPS_PROXY, HTTP_PROXY and NO_PROXY. */
  #dispatcher(client: HttpClient, { url, insecure }: WireRequest): Dispatcher {
    const direct = /^(localhost|127\..*|\[::1\])$/.test(url.hostname)
    const key = `${insecure} ${direct}`
    const known = this.#dispatchers.get(key)
    if (known !== undefined) return known
    const made = client.openConnections({ timeout: this.#config.connectTimeout, insecure, direct })
    this.#dispatchers.set(key, made)
    return made
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#dispatchers.values()].map((dispatcher) => dispatcher.destroy()))
  }
}

function redirected(wire: WireRequest, from: URL, location: string): URL {
  const next = URL.canParse(location, from) ? new URL(location, from) : undefined
  const safe =
    next?.protocol === 'https:' || (next?.protocol === 'http:' && (wire.insecure || from.protocol === 'http:'))
  if (next === undefined || !safe)
    throw new RegistryError('unavailable', requestName(wire), 'the registry redirects to an address that is not safe')
  return next
}

/** Bytes of an error body that are looked at. */
const errorLimit = 64 * 1024

/** Consumes the body; throws unless the status is one of `expected`. */
export async function expectStatus(
  wire: WireRequest,
  response: WireResponse,
  expected: readonly number[],
): Promise<void> {
  if (expected.includes(response.statusCode)) return
  throw errorOfAnswer(requestName(wire), response.statusCode, response.headers, await beginning(response))
}

async function beginning(response: WireResponse): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of response.body) {
      chunks.push(chunk)
      length += chunk.byteLength
      if (length >= errorLimit) break
    }
  } catch {
    // Half an explanation is as good as there will be: the status is what counts.
  }
  return Buffer.concat(chunks).toString('utf8').slice(0, errorLimit)
}

/** The whole body. RegistryError when it is longer than `limit` bytes or breaks off. */
export async function readBody(wire: WireRequest, response: WireResponse, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of response.body) {
      length += chunk.byteLength
      if (length > limit) break
      chunks.push(chunk)
    }
  } catch (error) {
    wire.signal?.throwIfAborted()
    throw errorOfNetwork(requestName(wire), response.url, error)
  }
  if (length > limit) throw new RegistryError('invalid', requestName(wire), `the answer is larger than ${limit} bytes`)
  return Buffer.concat(chunks)
}
