/** What registries and networks answer instead of content, as sentences. Docker's words where clients know them. */
import * as z from 'zod'
import { EngineError, type ErrorKind, messageOf } from '../base/errors.ts'

/** A failed exchange. `code` is distribution's error code (`DENIED`, `MANIFEST_UNKNOWN`, …) where there was one. */
export class RegistryError extends EngineError {
  readonly status: number | undefined
  readonly code: string | undefined
  /** Worth another try, by nature. */
  readonly transient: boolean
  /** Milliseconds the server asked to wait. */
  readonly retryAfter: number | undefined
  /** `denied: requested access to the resource is denied`, without the request in front. */
  readonly reason: string

  constructor(
    kind: ErrorKind,
    request: string,
    reason: string,
    more: {
      status?: number
      code?: string
      transient?: boolean
      retryAfter?: number | undefined
      cause?: unknown
    } = {},
  ) {
    super(kind, `${request}: ${reason}`, more.cause === undefined ? undefined : { cause: more.cause })
    this.reason = reason
    this.status = more.status
    this.code = more.code
    this.transient = more.transient ?? false
    this.retryAfter = more.retryAfter
  }
}

const answerSchema = z.object({
  errors: z.array(z.object({ code: z.string().default('UNKNOWN'), message: z.string().nullish() })).min(1),
})
const plainSchema = z.object({ details: z.string().optional(), message: z.string().optional() })

const kindOfStatus: Record<number, ErrorKind> = { 401: 'unauthorized', 403: 'forbidden', 404: 'not-found' }
const transientStatuses: readonly number[] = [408, 425, 429, 500, 502, 503, 504]

/** `request` is like `Get "https://host/v2/"`; `body` is the beginning of the answer. */
export function errorOfAnswer(
  request: string,
  status: number,
  headers: { readonly 'retry-after'?: string | string[] | undefined },
  body: string,
): RegistryError {
  const transient = transientStatuses.includes(status)
  const kind = kindOfStatus[status] ?? (transient ? 'unavailable' : 'internal')
  const more = { status, transient, retryAfter: waitOf(headers['retry-after']) }
  const found = firstError(body)
  if (found === undefined) return new RegistryError(kind, request, `unexpected status from registry: ${status}`, more)
  const words = found.code.toLowerCase().replaceAll('_', ' ')
  return new RegistryError(kind, request, `${words}: ${found.message}`, { ...more, code: found.code })
}

function firstError(body: string): { code: string; message: string } | undefined {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    return undefined
  }
  const answer = answerSchema.safeParse(json)
  if (answer.success) {
    const { code, message } = answer.data.errors[0]!
    return { code: printable(code), message: printable(message ?? code.toLowerCase().replaceAll('_', ' ')) }
  }
  const plain = plainSchema.safeParse(json)
  const message = plain.data?.details ?? plain.data?.message
  return message === undefined ? undefined : { code: 'UNKNOWN', message: printable(message) }
}

/** A stranger's text ends up on terminals and in one line. */
const printable = (text: string): string => text.replace(/[\p{C}\s]+/gu, ' ').slice(0, 500)

/** RFC 9110 section 10.2.3: seconds or a date. */
function waitOf(header: string | string[] | undefined): number | undefined {
  const text = Array.isArray(header) ? header[0] : header
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now())
}

type NetworkError = {
  code?: string
  address?: string
  port?: number
  hostname?: string
  errors?: unknown[]
  cause?: unknown
}

const refusals: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
  EACCES: 'permission denied',
}
const lookups: Record<string, string> = {
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'temporary failure in name resolution',
  EAI_FAIL: 'server misbehaving',
}
const interrupted: Record<string, string> = {
  ECONNRESET: 'connection reset by peer',
  EPIPE: 'broken pipe',
  UND_ERR_SOCKET: 'connection closed by the registry',
  UND_ERR_HEADERS_TIMEOUT: 'timed out while awaiting headers',
  UND_ERR_BODY_TIMEOUT: 'timed out while reading the body',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'unexpected EOF',
}

/** The error of a request that got no answer, or half of one. */
export function errorOfNetwork(request: string, url: URL, error: unknown): RegistryError {
  const found = innermost(error)
  const code = String(found.code ?? '')
  const host =
    url.host.includes(':') && url.port !== '' ? url.host : `${url.host}:${url.protocol === 'https:' ? 443 : 80}`
  if (refusals[code] !== undefined) {
    const peer = found.address === undefined ? host : `${bracketed(found.address)}:${found.port}`
    return new RegistryError('unavailable', request, `dial tcp ${peer}: connect: ${refusals[code]}`, { cause: error })
  }
  if (lookups[code] !== undefined)
    return new RegistryError('unavailable', request, `dial tcp: lookup ${url.hostname}: ${lookups[code]}`, {
      cause: error,
    })
  if (code === 'UND_ERR_CONNECT_TIMEOUT')
    return new RegistryError('unavailable', request, `dial tcp ${host}: i/o timeout`, { cause: error })
  if (interrupted[code] !== undefined)
    return new RegistryError('unavailable', request, interrupted[code], { cause: error, transient: true })
  const tls = /CERT|ERR_TLS|SELF_SIGNED|UNABLE_TO_/.test(code)
  const plain =
    code === 'EPROTO' || code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG'
  const reason = plain
    ? 'http: server gave HTTP response to HTTPS client'
    : tls
      ? `tls: failed to verify certificate: ${messageOf(found)}`
      : messageOf(found)
  return new RegistryError('unavailable', request, reason, { cause: error })
}

const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address)

/** Attempts over several addresses arrive as an AggregateError; the last one is what Go's dialer would say. */
function innermost(error: unknown): NetworkError {
  const found = error as NetworkError
  const inner = found.errors?.at(-1) ?? (found.code === undefined ? found.cause : undefined)
  return inner === undefined || inner === null ? found : innermost(inner)
}
