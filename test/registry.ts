/**
 * For tests: a real registry (Debian's docker-registry) on loopback, and images made by hand that are put into it with
 * plain HTTP, so that what the engine pulls was not written by the engine.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'

const program = '/usr/bin/docker-registry'

/** A reason to skip, or false. */
export const noRegistry: string | false = existsSync(program) ? false : `needs ${program} (Debian: docker-registry)`

/** The user of a registry with `auth`; bcrypt is the only hash it takes. */
export const registryUser = { username: 'sinbad', password: 'open sesame' }
const passwordFile = 'sinbad:$2y$04$u/QssixNHj0TxhlUKnghf.7N7uTKKpjDaroxCETH5wT06jyBrz8rG\n'

export type Registry = AsyncDisposable & { host: string; url: string; directory: string; stop(): Promise<void> }

export async function startRegistry(options: { auth?: boolean; port?: number } = {}): Promise<Registry> {
  await using stack = new AsyncDisposableStack()
  const directory = stack.adopt(await mkdtemp(join(tmpdir(), 'registry-')), (path) =>
    rm(path, { recursive: true, force: true }),
  )
  const port = options.port ?? (await freePort())
  await writeFile(join(directory, 'htpasswd'), passwordFile)
  const auth = options.auth ? { htpasswd: { realm: 'test', path: join(directory, 'htpasswd') } } : undefined
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, 'data') }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}` },
    ...(auth && { auth }),
  }
  // JSON is YAML.
  await writeFile(join(directory, 'config.yml'), JSON.stringify(config))
  const child = spawn(program, ['serve', join(directory, 'config.yml')], { stdio: 'ignore' })
  stack.defer(() => ended(child))
  const url = `http://127.0.0.1:${port}/`
  await answers(url, child)
  const owned = stack.move()
  const stop = (): Promise<void> => owned.disposeAsync()
  return { host: `127.0.0.1:${port}`, url, directory, stop, [Symbol.asyncDispose]: stop }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function answers(url: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const response = await fetch(`${url}v2/`).catch(() => undefined)
    if (response !== undefined) return
    await sleep(20)
  }
  throw new Error(`docker-registry ended with ${child.exitCode}`)
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const end = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await end
}

export const digestOf = (bytes: Uint8Array | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

export type Blob = { mediaType: string; digest: string; size: number; bytes: Buffer }
export type HandmadeImage = { manifest: Buffer; mediaType: string; digest: string; config: Blob; layers: Blob[] }

/** A layer of regular files: name → content. */
export async function layerOf(files: Record<string, string | Buffer>): Promise<Buffer> {
  const archive = pack()
  for (const [name, content] of Object.entries(files)) archive.entry({ name, mode: 0o644 }, content)
  archive.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of archive) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const blobOf = (mediaType: string, bytes: Buffer): Blob => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.byteLength,
  bytes,
})

/** An image of the given layers (tar archives); fields of `config` come on top. */
export function imageOf(tars: readonly Buffer[], config: object = {}, docker = false): HandmadeImage {
  const types = docker
    ? {
        manifest: 'application/vnd.docker.distribution.manifest.v2+json',
        config: 'application/vnd.docker.container.image.v1+json',
        layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
      }
    : {
        manifest: 'application/vnd.oci.image.manifest.v1+json',
        config: 'application/vnd.oci.image.config.v1+json',
        layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
      }
  const text = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/hello'] },
    rootfs: { type: 'layers', diff_ids: tars.map(digestOf) },
    ...config,
  })
  const configBlob = blobOf(types.config, Buffer.from(text))
  const layers = tars.map((tar) => blobOf(types.layer, gzipSync(tar)))
  const described = ({ mediaType, digest, size }: Blob) => ({ mediaType, digest, size })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: types.manifest,
      config: described(configBlob),
      layers: layers.map(described),
    }),
  )
  return { manifest, mediaType: types.manifest, digest: digestOf(manifest), config: configBlob, layers }
}

/** Puts the image into the registry; `reference` is a tag, or the digest of a manifest that an index names. */
export async function putImage(
  url: string,
  repository: string,
  reference: string,
  image: HandmadeImage,
  headers: Record<string, string> = {},
): Promise<void> {
  for (const blob of [image.config, ...image.layers]) await putBlob(url, repository, blob, headers)
  await putManifest(url, repository, reference, image.manifest, image.mediaType, headers)
}

async function putBlob(url: string, repository: string, blob: Blob, headers: Record<string, string>): Promise<void> {
  const session = await fetch(`${url}v2/${repository}/blobs/uploads/`, { method: 'POST', headers })
  const target = new URL(session.headers.get('location')!, url)
  target.searchParams.set('digest', blob.digest)
  const body = new Uint8Array(blob.bytes)
  const answer = await fetch(target, { method: 'PUT', body, headers })
  if (answer.status !== 201) throw new Error(`blob ${blob.digest}: ${answer.status} ${await answer.text()}`)
}

export async function putManifest(
  url: string,
  repository: string,
  reference: string,
  manifest: Buffer,
  mediaType: string,
  headers: Record<string, string> = {},
): Promise<void> {
  const answer = await fetch(`${url}v2/${repository}/manifests/${reference}`, {
    method: 'PUT',
    body: new Uint8Array(manifest),
    headers: { ...headers, 'content-type': mediaType },
  })
  if (answer.status !== 201) throw new Error(`manifest ${reference}: ${answer.status} ${await answer.text()}`)
}

/** The Authorization header of `registryUser`. */
export const basicAuth = {
  authorization: `Basic ${Buffer.from(`${registryUser.username}:${registryUser.password}`).toString('base64')}`,
}
