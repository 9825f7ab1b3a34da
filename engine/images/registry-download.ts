/** A blob from a registry into the content store: resumed after interruptions, verified before it can be seen. */
import { EngineError, messageOf } from '../base/errors.ts'
import type { ContentStore } from './content-store.ts'
import type { Digest } from './digest.ts'
import type { Ingest } from './ingest.ts'
import type { Descriptor } from './manifest.ts'
import type { RegistryClient } from './registry-client.ts'
import { errorOfNetwork, RegistryError } from './registry-errors.ts'
import { waitOrThrow } from './registry-retry.ts'
import { requestName, type WireRequest, type WireResponse } from './registry-transport.ts'

export type DownloadOptions = {
  client: RegistryClient
  content: ContentStore
  blob: Descriptor
  signal?: AbortSignal | undefined
  /** Bytes so far, those of earlier runs included. */
  onBytes?: ((offset: number) => void) | undefined
  /** All bytes are here, the hash is checked next. */
  onVerify?: (() => void) | undefined
  onDigest?: (digest: Digest) => void
}

/** Throws invalid when the registry serves something else than was promised; then nothing is left. */
export async function downloadBlob(options: DownloadOptions): Promise<void> {
  const resumed = await downloadOnce(options)
  // A part that an earlier run left may be what was wrong: once more from nothing tells.
  if (resumed === 'spoilt' && (await downloadOnce(options)) === 'spoilt')
    throw new EngineError('invalid', `filesystem layer verification failed for digest ${options.blob.digest}`)
}

async function downloadOnce(options: DownloadOptions): Promise<'done' | 'spoilt'> {
  const { content, blob } = options
  await using download = await content.download(blob.digest)
  const { ingest } = download
  if (ingest.offset > blob.size) await ingest.reset()
  const inherited = ingest.offset
  try {
    await fetchRest(options, ingest)
    options.onVerify?.()
    await download.commit(blob.size, options.onDigest)
    return 'done'
  } catch (error) {
    if (!(error instanceof EngineError) || error.kind !== 'invalid') throw error
    await ingest.discard()
    if (inherited > 0) return 'spoilt'
    throw new EngineError(
      'invalid',
      `filesystem layer verification failed for digest ${blob.digest}: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

/** Every byte received is progress: only tries without any are counted. */
async function fetchRest(options: DownloadOptions, ingest: Ingest): Promise<void> {
  const { client, blob, signal } = options
  let attempt = 0
  let furthest = ingest.offset
  while (ingest.offset < blob.size) {
    try {
      const { wire, response } = await client.blob(blob.digest, ingest.offset, signal)
      await append(options, ingest, wire, response)
    } catch (error) {
      if (ingest.offset > furthest) attempt = 0
      furthest = Math.max(furthest, ingest.offset)
      await waitOrThrow(error, attempt, client.session.config, signal)
      attempt += 1
    }
  }
}

async function append(
  { blob, signal, onBytes }: DownloadOptions,
  ingest: Ingest,
  wire: WireRequest,
  response: WireResponse,
): Promise<void> {
  // RFC 9110 section 14.2: a server may ignore Range and send everything.
  const continues = response.statusCode === 206 && startOf(response) === ingest.offset
  if (!continues && ingest.offset > 0) await ingest.reset()
  if (response.statusCode !== 200 && !continues) {
    await response.body.dump()
    throw new RegistryError('unavailable', requestName(wire), 'the registry sent another range', { transient: true })
  }
  try {
    await ingest.append(response.body, { limit: blob.size, ...(signal && { signal }), ...(onBytes && { onBytes }) })
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof EngineError || isDiskError(error)) throw error
    throw errorOfNetwork(requestName(wire), response.url, error)
  }
  if (ingest.offset < blob.size)
    throw new RegistryError('unavailable', requestName(wire), 'unexpected EOF', { transient: true })
}

const startOf = (response: WireResponse): number | undefined => {
  const start = /^bytes (\d+)-/.exec(String(response.headers['content-range'] ?? ''))?.[1]
  return start === undefined ? undefined : Number(start)
}

const isDiskError = (error: unknown): boolean =>
  ['write', 'open', 'ftruncate'].includes(String((error as NodeJS.ErrnoException).syscall))
