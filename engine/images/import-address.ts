/** An archive that is fetched from an address, for `docker import URL`. */
import { Readable } from 'node:stream'
import { EngineError } from '../base/errors.ts'
import type { OnProgress } from './image.ts'
import { LayerReport } from './layer-report.ts'
import type { RegistrySession } from './registry-client.ts'
import { RegistryError } from './registry-errors.ts'
import type { WireRequest } from './registry-transport.ts'

/** Bytes of a refusal that are told on. */
const longestReason = 500

/** `host/path` is http, as in dockerd. */
function addressOf(text: string): URL {
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new EngineError(
      'invalid',
      `cannot import from ${JSON.stringify(text)}: an http:// or https:// address is needed`,
    )
  return url
}

/**
 * The archive's bytes, as the server has them. invalid for what is no address; not-found, forbidden, unauthorized and unavailable
 * in the server's words.
 */
export async function fetchArchive(
  session: RegistrySession,
  text: string,
  { progress, signal }: { progress: OnProgress; signal: AbortSignal },
): Promise<Readable> {
  const url = addressOf(text)
  const wire: WireRequest = { method: 'GET', url, insecure: false, signal }
  const response = await session.transport.send(wire).catch((error: unknown) => {
    if (!(error instanceof RegistryError)) throw error
    throw new EngineError(error.kind, `Get "${url.href}": ${error.reason}`, { cause: error })
  })
  const { statusCode, headers, body } = response
  if (statusCode !== 200) throw await refusal(url, statusCode, body)
  progress({ status: `Downloading from ${url.href}` })
  return Readable.from(counted(body, Number(headers['content-length'] ?? 0), progress), { objectMode: false })
}

const kinds = { 401: 'unauthorized', 403: 'forbidden', 404: 'not-found' } as const

async function refusal(url: URL, status: number, body: Readable): Promise<EngineError> {
  let reason = ''
  for await (const chunk of body as AsyncIterable<Buffer>) {
    reason += chunk.toString('utf8')
    if (reason.length > longestReason) break
  }
  const printable = reason
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, longestReason)
  const kind = kinds[status as keyof typeof kinds] ?? (status >= 500 ? 'unavailable' : 'invalid')
  return new EngineError(
    kind,
    `failed to GET ${url.href} with status ${status}${printable === '' ? '' : `: ${printable}`}`,
  )
}

async function* counted(body: Readable, total: number, progress: OnProgress): AsyncGenerator<Buffer> {
  const report = new LayerReport('', progress)
  let current = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    current += chunk.length
    report.bytes('Importing', current, total)
    yield chunk
  }
}
