/** Images as clients see them: domain → wire, nothing else. */
import type { Image, LocalManifest } from '../images/image.ts'
import type { ImageInspect, ImageManifest, ImageSummary } from './contract/docker-store.ts'

/** An image without a creation time is as old as can be. */
const createdOf = (image: Image): string => image.config.created ?? '0001-01-01T00:00:00Z'

/**
 * @param containers how many were made of it; -1 is not counted
 * @param sharedSize bytes of layers that others stand on, too; -1 is not counted
 */
export const imageSummary = (image: Image, containers: number, sharedSize = -1): ImageSummary => ({
  Id: image.id,
  ParentId: '',
  RepoTags: image.tags,
  RepoDigests: image.digests,
  Created: image.config.created === undefined ? 0 : Math.floor(Date.parse(image.config.created) / 1000),
  Size: image.size,
  SharedSize: sharedSize,
  Containers: containers,
  Labels: image.config.config?.Labels ?? null,
})

export const imageManifest = (
  { config, size }: Image,
  manifest: LocalManifest,
  containers: readonly string[],
): ImageManifest => ({
  ID: manifest.digest,
  Descriptor: { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.size },
  Available: true,
  Size: { Content: manifest.content, Total: manifest.content + size },
  Kind: 'image',
  ImageData: {
    Platform: {
      architecture: config.architecture,
      os: config.os,
      ...(config.variant === undefined ? {} : { variant: config.variant }),
    },
    Containers: [...containers],
    Size: { Unpacked: size },
  },
})

export const imageInspect = (image: Image): ImageInspect => ({
  Id: image.id,
  RepoTags: image.tags,
  RepoDigests: image.digests,
  Parent: '',
  Comment: image.config.history?.at(-1)?.comment ?? '',
  Created: createdOf(image),
  Author: image.config.author ?? '',
  Config: {
    Hostname: '',
    Domainname: '',
    User: '',
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: null,
    Cmd: null,
    Image: '',
    Volumes: null,
    WorkingDir: '',
    Entrypoint: null,
    OnBuild: null,
    Labels: null,
    ...image.config.config,
  },
  Architecture: image.config.architecture,
  ...(image.config.variant === undefined ? {} : { Variant: image.config.variant }),
  Os: image.config.os,
  Size: image.size,
  GraphDriver: { Name: 'overlay2', Data: null },
  RootFS: { Type: 'layers', Layers: image.config.rootfs?.diff_ids ?? [] },
  Metadata: { LastTagTime: '0001-01-01T00:00:00Z' },
  DockerVersion: '',
})
