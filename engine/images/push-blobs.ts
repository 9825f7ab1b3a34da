/** Blobs to a registry: not at all if they are there, mounted from a sister repository if it has them, else uploaded. */
import { Readable } from 'node:stream'
import type { ContentStore } from './content-store.ts'
import type { Descriptor } from './manifest.ts'
import type { RegistryClient } from './registry-client.ts'
import { errorOfNetwork, RegistryError } from './registry-errors.ts'
import { retrying } from './registry-retry.ts'
import { requestName, type WireRequest, type WireResponse } from './registry-transport.ts'

export type BlobUpload = {
  client: RegistryClient
  content: ContentStore
  blob: Descriptor
  /** Repository paths of the same registry that may have the blob. */
  mountFrom: readonly string[]
  onBytes?: (sent: number) => void
  signal: AbortSignal | undefined
}

export type Uploaded = { how: 'exists' } | { how: 'mounted'; from: string } | { how: 'uploaded' }

/** distribution-spec, "Pushing blobs". RegistryError when the registry refuses. */
export async function uploadBlob(upload: BlobUpload): Promise<Uploaded> {
  const { client, blob, mountFrom, signal } = upload
  if (await client.hasBlob(blob.digest, signal)) return { how: 'exists' }
  return await retrying(client.session.config, signal, async () => {
    const [from] = mountFrom
    const session = from === undefined ? undefined : await tryMount(upload, from)
    if (session === 'mounted') return { how: 'mounted', from: from! }
    await send(upload, session ?? (await startSession(upload)))
    return { how: 'uploaded' }
  })
}

/** Where to send the blob instead, when the registry would not mount; undefined when it would not even answer that. */
async function tryMount({ client, blob, signal }: BlobUpload, from: string): Promise<'mounted' | URL | undefined> {
  const query = new URLSearchParams({ mount: blob.digest, from })
  try {
    const { wire, response } = await client.exchange({
      method: 'POST',
      path: `blobs/uploads/?${query}`,
      expect: [201, 202],
      alsoPull: [from],
      signal,
    })
    await response.body.dump()
    return response.statusCode === 201 ? 'mounted' : locationOf(wire, response)
  } catch (error) {
    // No right to read the other repository is no reason not to push to this one.
    if (error instanceof RegistryError && !error.transient && error.status !== undefined) return undefined
    throw error
  }
}

async function startSession({ client, signal }: BlobUpload): Promise<URL> {
  const { wire, response } = await client.exchange({ method: 'POST', path: 'blobs/uploads/', expect: [202], signal })
  await response.body.dump()
  return locationOf(wire, response)
}

async function send({ client, content, blob, onBytes, signal }: BlobUpload, session: URL): Promise<void> {
  session.searchParams.set('digest', blob.digest)
  const { response } = await client.exchange({
    method: 'PUT',
    path: session,
    expect: [201],
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(content.size(blob.digest)) },
    body: () => counted(content.read(blob.digest), onBytes),
    signal,
  })
  await response.body.dump()
}

function counted(source: Readable, onBytes: ((sent: number) => void) | undefined): Readable {
  async function* count(): AsyncGenerator<Uint8Array> {
    let sent = 0
    for await (const chunk of source) {
      yield chunk
      sent += chunk.byteLength
      onBytes?.(sent)
    }
  }
  return Readable.from(count(), { objectMode: false })
}

function locationOf(wire: WireRequest, response: WireResponse): URL {
  const { location } = response.headers
  if (typeof location !== 'string' || !URL.canParse(location, response.url))
    throw new RegistryError('unavailable', requestName(wire), 'the registry does not say where to upload to')
  const url = new URL(location, response.url)
  const safe = url.protocol === 'https:' || (url.protocol === 'http:' && wire.insecure)
  if (!safe)
    throw errorOfNetwork(requestName(wire), url, new Error('the registry wants the upload at an unsafe address'))
  return url
}
