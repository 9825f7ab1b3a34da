/** `docker push`: the very blobs and the very manifest that the image was made of. */
import { EngineError } from '../base/errors.ts'
import { shortId } from '../base/identifier.ts'
import { span } from '../trace/trace.ts'
import type { ImageDepot } from './depot.ts'
import type { Digest } from './digest.ts'
import { refuseToMove } from './host-image.ts'
import type { Image, PullOptions } from './image.ts'
import { LayerReport } from './layer-report.ts'
import { type Descriptor, type Manifest, parseManifest } from './manifest.ts'
import { uploadBlob } from './push-blobs.ts'
import { familiarName, parseReference, type Reference, repositoryName } from './reference.ts'
import { RegistryClient } from './registry-client.ts'
import { endpointsOf } from './registry-config.ts'
import type { Transfers } from './transfers.ts'

type Push = {
  depot: ImageDepot
  transfers: Transfers
  client: RegistryClient
  reference: Reference
  options: PullOptions
}

type Pushable = { tag: string; image: Image; manifest: Manifest }

/** One tag, or without a tag all of the repository. not-found when there is none here; then nothing is sent. */
export async function pushImage(
  depot: ImageDepot,
  transfers: Transfers,
  text: string,
  options: PullOptions,
): Promise<void> {
  const reference = parseReference(text)
  if (reference.digest !== undefined) throw new EngineError('invalid', 'cannot push a digest reference')
  const going = await pushables(depot, reference)
  const [endpoint] = endpointsOf(reference, transfers.session.config, false)
  const client = new RegistryClient(transfers.session, endpoint!, reference.path, options.auth, 'pull,push')
  options.progress?.({ status: `The push refers to repository [${repositoryName(reference)}]` })
  const push = { depot, transfers, client, reference, options }
  for (const one of going) await pushTag(push, one)
}

async function pushables(depot: ImageDepot, reference: Reference): Promise<Pushable[]> {
  const tags = reference.tag === undefined ? depot.records.tagsOf(repositoryName(reference)) : [reference.tag]
  if (tags.length === 0)
    throw new EngineError('not-found', `An image does not exist locally with the tag: ${familiarName(reference)}`)
  return await Promise.all(tags.map((tag) => pushable(depot, { ...reference, tag }, tag)))
}

async function pushable(depot: ImageDepot, reference: Reference, tag: string): Promise<Pushable> {
  const image = depot.records.byReference(reference)
  if (image === undefined) throw new EngineError('not-found', `tag does not exist: ${familiarName(reference)}:${tag}`)
  refuseToMove(depot, image, 'push')
  const bytes = await depot.content.readBytes(image.manifestDigest as Digest)
  const manifest = parseManifest(bytes, `manifest ${image.manifestDigest}`)
  if (manifest.kind !== 'manifest')
    throw new EngineError('internal', `the manifest ${image.manifestDigest} of ${familiarName(reference)} is an index`)
  return { tag, image, manifest }
}

async function pushTag(push: Push, { tag, image, manifest }: Pushable): Promise<void> {
  const { depot, reference, client, options } = push
  using lease = depot.leases.open()
  for (const { digest } of [manifest.config, ...manifest.layers]) lease.blob(digest)
  await pushLayers(push, image, manifest)
  const { content } = depot
  await uploadBlob({ client, content, blob: manifest.config, mountFrom: [], signal: options.signal })
  const digest = image.manifestDigest as Digest
  const bytes = await content.readBytes(digest)
  const { response } = await client.call({
    method: 'PUT',
    path: `manifests/${tag}`,
    expect: [201],
    headers: { 'content-type': manifest.mediaType },
    body: () => bytes,
    signal: options.signal,
  })
  await response.body.dump()
  const { domain, path } = reference
  depot.records.addReference(image.id, { domain, path, digest })
  for (const layer of manifest.layers) depot.records.addBlobSource(layer.digest, repositoryName(reference))
  const name = `${familiarName(reference)}:${tag}`
  depot.onEvent('push', name, { ...image.config.config?.Labels, name: familiarName(reference) })
  options.progress?.({ status: `${tag}: digest: ${digest} size: ${bytes.byteLength}` })
  options.progress?.({ progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: bytes.byteLength } })
}

/** Topmost first, as Docker lists them; a blob that stands for two layers is sent once and told twice. */
async function pushLayers(push: Push, image: Image, manifest: Manifest): Promise<void> {
  const failed = new AbortController()
  const given = push.options.signal
  const signal = given === undefined ? failed.signal : AbortSignal.any([given, failed.signal])
  const layers = manifest.layers.map((blob, at) => {
    const report = new LayerReport(shortId(image.config.rootfs.diff_ids[at] ?? blob.digest), push.options.progress)
    return { blob, report }
  })
  for (const { report } of layers.toReversed()) report.status('Preparing')
  const sending = new Map<Digest, Promise<string>>()
  const all = layers.toReversed().map(async ({ blob, report }) => {
    const first = sending.get(blob.digest) ?? pushLayer(push, blob, report, signal)
    sending.set(blob.digest, first)
    report.status(await first)
  })
  for (const one of all) one.catch((error) => failed.abort(error))
  const ends = await Promise.allSettled(all)
  given?.throwIfAborted()
  if (failed.signal.aborted) throw failed.signal.reason
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

/** The status that the layer ends with. */
async function pushLayer(
  { depot, transfers, client, reference }: Push,
  blob: Descriptor,
  report: LayerReport,
  signal: AbortSignal,
): Promise<string> {
  using _ = await transfers.uploads.take(signal, () => report.status('Waiting'))
  const prefix = `${reference.domain}/`
  const mountFrom = depot.records
    .blobSources(blob.digest)
    .filter((name) => name.startsWith(prefix) && name !== repositoryName(reference))
    .map((name) => name.slice(prefix.length))
  const onBytes = (sent: number): void => report.bytes('Pushing', sent, blob.size)
  const done = await span('images', `upload ${shortId(blob.digest)}`, () =>
    uploadBlob({ client, content: depot.content, blob, mountFrom, onBytes, signal }),
  )
  if (done.how === 'exists') return 'Layer already exists'
  return done.how === 'mounted' ? `Mounted from ${done.from}` : 'Pushed'
}
