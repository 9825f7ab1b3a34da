/** What a registry has under a name, without pulling it: `GET /distribution/{name}/json`. */
import { EngineError } from '../base/errors.ts'
import { parseDigest, sha256 } from './digest.ts'
import type { PullOptions, RemoteImage } from './image.ts'
import { parseImageConfig } from './image-config.ts'
import { type Descriptor, type Platform, parseManifest } from './manifest.ts'
import { translatePullError } from './pull-errors.ts'
import { familiar, parseReference, type Reference, withDefaultTag } from './reference.ts'
import { RegistryClient } from './registry-client.ts'
import { endpointsOf } from './registry-config.ts'
import { readBody } from './registry-transport.ts'
import type { Transfers } from './transfers.ts'

/** Bytes; a configuration is text about an image, not the image. */
const configLimit = 8 * 1024 * 1024

/** not-found, unauthorized, unavailable, in the words of a pull. An index lists its platforms, a manifest has its one. */
export async function remoteImage(transfers: Transfers, text: string, options: PullOptions): Promise<RemoteImage> {
  const reference = withDefaultTag(parseReference(text))
  if (reference.digest !== undefined) parseDigest(reference.digest)
  const endpoints = endpointsOf(reference, transfers.session.config, true)
  for (const [at, endpoint] of endpoints.entries())
    try {
      const client = new RegistryClient(transfers.session, endpoint, reference.path, options.auth, 'pull')
      return await ask(client, reference, options.signal)
    } catch (error) {
      options.signal?.throwIfAborted()
      if (at === endpoints.length - 1) throw translatePullError(error, reference)
    }
  throw new EngineError('internal', `no registry serves ${familiar(reference)}`)
}

async function ask(
  client: RegistryClient,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<RemoteImage> {
  const answer = await client.manifest(reference.digest ?? reference.tag!, signal)
  const manifest = parseManifest(answer.bytes, `manifest for ${familiar(reference)}`, answer.mediaType)
  const platforms =
    manifest.kind === 'index'
      ? manifest.manifests.flatMap(({ platform }) => platform ?? [])
      : [await platformOf(client, manifest.config, signal)]
  return {
    descriptor: { mediaType: manifest.mediaType, digest: answer.digest, size: answer.bytes.byteLength },
    platforms,
  }
}

async function platformOf(
  client: RegistryClient,
  { digest, size }: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Platform> {
  const what = `image configuration ${digest}`
  if (size > configLimit) throw new EngineError('invalid', `${what} is larger than ${configLimit} bytes`)
  const { wire, response } = await client.blob(digest, 0, signal)
  const bytes = await readBody(wire, response, configLimit)
  if (sha256(bytes) !== digest) throw new EngineError('invalid', `${what} is not what the registry sent`)
  const { os, architecture, variant } = parseImageConfig(bytes)
  return { os, architecture, variant: variant ?? '' }
}
