/** Images as the layers above see them: OCI image-spec configuration, references, progress. */
import type { Readable } from 'node:stream'
import type { OverlayMount } from '../snapshots/snapshotter.ts'

/** image-spec config.md, `config`; field names are the file format's. */
export type ImageRunConfig = {
  User?: string
  ExposedPorts?: Record<string, object>
  Env?: string[]
  Entrypoint?: string[]
  Cmd?: string[]
  Volumes?: Record<string, object>
  WorkingDir?: string
  Labels?: Record<string, string>
  StopSignal?: string
  StopTimeout?: number
  Shell?: string[]
  Healthcheck?: {
    Test?: string[]
    Interval?: number
    Timeout?: number
    StartPeriod?: number
    StartInterval?: number
    Retries?: number
  }
  OnBuild?: string[]
}

export type ImageConfig = {
  architecture: string
  os: string
  variant?: string
  created?: string
  author?: string
  config?: ImageRunConfig
  rootfs: { type: 'layers'; diff_ids: string[] }
  history?: { created?: string; created_by?: string; author?: string; comment?: string; empty_layer?: boolean }[]
}

export type Image = {
  /** `sha256:` + 64 hex: the digest of the configuration. */
  id: string
  /** Familiar references, e.g. `alpine:3.20`. */
  tags: string[]
  /** `repository@sha256:…` as served by the registry. */
  digests: string[]
  config: ImageConfig
  /** The OCI chain id of all layers; undefined for an image without layers. */
  chainId: string | undefined
  manifestDigest: string
  /** Bytes on disk of all layers, unpacked. */
  size: number
  /** True for the embedded image `host`, whose layers are this machine's own directories. */
  host: boolean
}

/** One line of a pull/push/load stream; Docker's JSON message. */
export type ProgressMessage = {
  status?: string
  stream?: string
  id?: string
  progressDetail?: { current?: number; total?: number }
  aux?: unknown
}
export type OnProgress = (message: ProgressMessage) => void

export type RegistryAuth = {
  username?: string
  password?: string
  identitytoken?: string
  registrytoken?: string
  serveraddress?: string
}

export type PullOptions = {
  /** `os/arch[/variant]`; the machine's own when absent. */
  platform?: string
  auth?: RegistryAuth
  progress?: OnProgress
  signal?: AbortSignal
}

/** A manifest or index of a registry; `variant` is empty where there is none. */
export type RemoteImage = {
  descriptor: { mediaType: string; digest: string; size: number }
  platforms: { os: string; architecture: string; variant: string }[]
}

/** A repository that an index knows. */
export type SearchHit = { name: string; description: string; stars: number; official: boolean }

/** The manifest of an image that is here. `content`: bytes of all its blobs as they are stored. */
export type LocalManifest = { mediaType: string; digest: string; size: number; content: number }

/** Bytes of unpacked layers: of all images, each layer once, and by image id of those that others stand on, too. */
export type LayerUse = { total: number; shared: ReadonlyMap<string, number> }

export type DeletedImage = { Untagged: string } | { Deleted: string }

/** Who uses an image; the lifecycle tells, images/ asks before it removes. */
export type ImageUse = { containerId: string; running: boolean; reference: string }

export type Images = {
  /** By id, id prefix or reference (wire fact 65). not-found: `No such image: ref:tag`. */
  get(reference: string): Image
  list(): Image[]
  pull(reference: string, options: PullOptions): Promise<Image>
  /** What the registry has under the name, without pulling it. */
  remote(reference: string, options: PullOptions): Promise<RemoteImage>
  /** Undefined for the image `host`, which has none. */
  manifest(image: Image): Promise<LocalManifest | undefined>
  layerUse(): LayerUse
  pullAll(repository: string, options: PullOptions): Promise<Image[]>
  push(reference: string, options: PullOptions): Promise<void>
  /** Are these credentials good? unauthorized if not, unavailable if nobody answers. */
  login(auth: RegistryAuth, signal?: AbortSignal): Promise<void>
  /** Repositories with the term in their name or description, 25 unless said; `host/term` asks that host's index. */
  search(term: string, options: { limit?: number; auth?: RegistryAuth; signal?: AbortSignal }): Promise<SearchHit[]>
  tag(image: string, reference: string): void
  remove(reference: string, options: { force: boolean; prune: boolean }): Promise<DeletedImage[]>
  /** Images to go: dangling ones, or all unused. `dryRun` only tells. */
  prune(options: PruneImages): Promise<{ deleted: DeletedImage[]; bytes: number }>
  load(
    archive: NodeJS.ReadableStream,
    options: { quiet: boolean; platform?: string; progress: OnProgress; signal?: AbortSignal },
  ): Promise<string[]>
  save(references: string[]): Promise<NodeJS.ReadableStream>
  /** The bytes at an http address, for `import`. */
  fetchArchive(address: string, options: { progress: OnProgress; signal: AbortSignal }): Promise<Readable>
  import(archive: NodeJS.ReadableStream, options: ImportOptions): Promise<Image>
  /** A new image from a container's snapshot: one more layer with what was written. */
  commit(options: CommitOptions): Promise<Image>
  history(reference: string): HistoryEntry[]
  /** Removes blobs and layers that no image, no pull in flight and no container needs. Bytes freed. */
  collect(): Promise<number>
}

export type PruneImages = {
  dangling: boolean
  filter: (image: Image) => boolean
  dryRun?: boolean
}

export type ImportOptions = {
  reference?: string
  message?: string
  changes: string[]
  platform?: string
  signal?: AbortSignal
}

export type CommitOptions = {
  snapshotKey: string
  base: Image
  config: ImageRunConfig
  reference?: string
  author?: string
  comment?: string
}

export type HistoryEntry = {
  Id: string
  Created: number
  CreatedBy: string
  Tags: string[] | null
  Size: number
  Comment: string
}

export type { OverlayMount }
