/** Media types of manifests, configurations and layers; image-spec media-types.md and distribution's schema 2. */

export const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
export const ociIndex = 'application/vnd.oci.image.index.v1+json'
export const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json'
export const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const ociConfig = 'application/vnd.oci.image.config.v1+json'
export const dockerConfig = 'application/vnd.docker.container.image.v1+json'
export const ociLayerGzip = 'application/vnd.oci.image.layer.v1.tar+gzip'
export const ociLayer = 'application/vnd.oci.image.layer.v1.tar'
export const ociLayerZstd = 'application/vnd.oci.image.layer.v1.tar+zstd'

export const indexTypes: readonly string[] = [ociIndex, dockerList]
export const manifestTypes: readonly string[] = [ociManifest, dockerManifest]

/** Schema 1: answered with a clear refusal, never asked for. */
export const oldManifestTypes: readonly string[] = [
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
]

/** Some old tools pushed configurations as plain JSON or octets; Docker takes them, so do we. */
export const configTypes: readonly string[] = [
  ociConfig,
  dockerConfig,
  'application/octet-stream',
  'application/json',
  'text/html',
  '',
]

export const layerTypes: readonly string[] = [
  ociLayer,
  ociLayerGzip,
  ociLayerZstd,
  'application/vnd.oci.image.layer.nondistributable.v1.tar',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
  'application/vnd.docker.image.rootfs.diff.tar',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd',
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
]
