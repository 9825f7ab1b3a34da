import type { ProgressLine } from '../../engine/api/contract/docker.ts'
import type {
  DeletedImage,
  ImageInspect,
  ImageSummary,
  Network,
  PruneImagesAnswer,
  PruneNetworksAnswer,
  PruneVolumesAnswer,
  Volume,
  VolumeList,
} from '../../engine/api/contract/docker-store.ts'
import { ApiError } from './errors.ts'
import { jsonLines } from './lines.ts'
import { splitReference } from './reference.ts'
import type { Transport } from './transport.ts'

/** Images, volumes and networks. */
export class StoreCalls {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  images(): Promise<ImageSummary[]> {
    return this.#transport.json('GET', '/images/json')
  }

  inspectImage(name: string): Promise<ImageInspect> {
    return this.#transport.json('GET', `/images/${encodeURIComponent(name)}/json`)
  }

  async hasImage(name: string): Promise<boolean> {
    try {
      await this.inspectImage(name)
      return true
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false
      throw error
    }
  }

  /** The progress lines of a pull. A failure on the way arrives as a line with `error`, and is thrown here. */
  async *pull(reference: string, signal: AbortSignal): AsyncGenerator<ProgressLine> {
    const { name, tag } = splitReference(reference)
    const response = await this.#transport.send('POST', '/images/create', { query: { fromImage: name, tag }, signal })
    for await (const line of jsonLines<ProgressLine>(response)) {
      if (line.error) throw new ApiError(500, line.errorDetail?.message ?? line.error)
      yield line
    }
  }

  removeImage(name: string, force: boolean): Promise<DeletedImage[]> {
    return this.#transport.json('DELETE', `/images/${encodeURIComponent(name)}`, { query: { force: force ? 1 : 0 } })
  }

  pruneImages(all: boolean): Promise<PruneImagesAnswer> {
    const filters = JSON.stringify({ dangling: [all ? 'false' : 'true'] })
    return this.#transport.json('POST', '/images/prune', { query: { filters } })
  }

  async volumes(): Promise<Volume[]> {
    return (await this.#transport.json<VolumeList>('GET', '/volumes')).Volumes ?? []
  }

  inspectVolume(name: string): Promise<Volume> {
    return this.#transport.json('GET', `/volumes/${encodeURIComponent(name)}`)
  }

  async removeVolume(name: string): Promise<void> {
    await this.#transport.done('DELETE', `/volumes/${encodeURIComponent(name)}`)
  }

  pruneVolumes(all: boolean): Promise<PruneVolumesAnswer> {
    const filters = JSON.stringify(all ? { all: ['true'] } : {})
    return this.#transport.json('POST', '/volumes/prune', { query: { filters } })
  }

  networks(): Promise<Network[]> {
    return this.#transport.json('GET', '/networks')
  }

  inspectNetwork(id: string): Promise<Network> {
    return this.#transport.json('GET', `/networks/${encodeURIComponent(id)}`)
  }

  async removeNetwork(id: string): Promise<void> {
    await this.#transport.done('DELETE', `/networks/${encodeURIComponent(id)}`)
  }

  pruneNetworks(): Promise<PruneNetworksAnswer> {
    return this.#transport.json('POST', '/networks/prune')
  }
}
