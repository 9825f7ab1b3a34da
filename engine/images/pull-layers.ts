/** All layers of an image: each is fetched and unpacked beside the others, and takes its place after the one below. */
import { shortId } from '../base/identifier.ts'
import { span } from '../trace/trace.ts'
import type { ImageDepot } from './depot.ts'
import { chainIds, type Digest } from './digest.ts'
import type { OnProgress } from './image.ts'
import { installLayer } from './install-layer.ts'
import { LayerReport } from './layer-report.ts'
import type { Lease } from './leases.ts'
import type { Descriptor } from './manifest.ts'
import type { RegistryClient } from './registry-client.ts'
import { downloadBlob } from './registry-download.ts'
import { together } from './shared-work.ts'
import type { BlobProgress, Transfers } from './transfers.ts'

export type LayerSource = {
  depot: ImageDepot
  transfers: Transfers
  client: RegistryClient
  lease: Lease
  signal: AbortSignal | undefined
}

type Step = { blob: Descriptor; diffId: Digest; chainId: Digest; parent: Digest | undefined; report: LayerReport }

/** Precondition: as many layers as diff ids. On failure nothing is half-done, and what arrived whole stays leased. */
export async function pullLayers(
  source: LayerSource,
  layers: readonly Descriptor[],
  diffIds: readonly Digest[],
  progress: OnProgress | undefined,
): Promise<void> {
  const chains = chainIds(diffIds)
  const steps = layers.map((blob, at): Step => {
    const chainId = chains[at]!
    source.lease.blob(blob.digest)
    source.lease.chain(chainId)
    const report = new LayerReport(shortId(blob.digest), progress)
    return { blob, diffId: diffIds[at]!, chainId, parent: chains[at - 1], report }
  })
  const { content, snapshotter } = source.depot
  const missing = steps.filter(({ blob, chainId }) => !content.has(blob.digest) || !snapshotter.has(chainId))
  for (const step of steps) step.report.status(missing.includes(step) ? 'Pulling fs layer' : 'Already exists')
  await fetchAndInstall(source, missing)
}

async function fetchAndInstall(source: LayerSource, steps: readonly Step[]): Promise<void> {
  await together(source.signal, (signal) => steps.map((step) => fetchAndInstallOne({ ...source, signal }, step)))
}

async function fetchAndInstallOne(source: LayerSource & { signal: AbortSignal }, step: Step): Promise<void> {
  const { blob, report } = step
  await fetchBlob(source, blob, (progress) => tell(report, progress))
  await installLayer(
    source.depot,
    source.transfers,
    { ...step, blob: blob.digest },
    (bytes) => report.bytes('Extracting', bytes, blob.size),
    source.signal,
  )
  report.status('Pull complete')
}

function tell(report: LayerReport, { status, current, total }: BlobProgress): void {
  if (current === undefined || total === undefined) report.status(status)
  else report.bytes(status, current, total)
}

/** Into the content store, joining a download of the same blob. Precondition: a lease holds the digest. */
export async function fetchBlob(
  { depot, transfers, client, signal }: Omit<LayerSource, 'lease'>,
  blob: Descriptor,
  watch: (progress: BlobProgress) => void,
): Promise<void> {
  while (!depot.content.has(blob.digest)) {
    let own = false
    const work = async (shared: AbortSignal, report: (progress: BlobProgress) => void): Promise<void> => {
      own = true
      using slot = await transfers.downloads.take(shared, () => report({ status: 'Waiting' }))
      await span('images', `download ${shortId(blob.digest)}`, () =>
        downloadBlob({
          client,
          content: depot.content,
          blob,
          signal: shared,
          onBytes: (current) => report({ status: 'Downloading', current, total: blob.size }),
          onVerify: () => {
            // The line is free for the next blob while this one goes to the disk.
            slot[Symbol.dispose]()
            report({ status: 'Verifying Checksum' })
          },
        }),
      )
      report({ status: 'Download complete' })
    }
    try {
      await transfers.blobs.run(blob.digest, work, watch, signal)
    } catch (error) {
      // Somebody else's registry or credentials failed, not ours.
      signal?.throwIfAborted()
      if (own) throw error
    }
  }
}
