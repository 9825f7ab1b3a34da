/** Pull and push against a real registry that nobody here wrote. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Image } from '../../engine/images/image.ts'
import {
  basicAuth,
  digestOf,
  type HandmadeImage,
  imageOf,
  layerOf,
  noRegistry,
  putImage,
  putManifest,
  registryUser,
  startRegistry,
} from '../registry.ts'
import { noRoot, openStore, type TestStore } from './registry-store.ts'

const skip = noRegistry || noRoot

const twoLayers = async (): Promise<HandmadeImage> =>
  imageOf([await layerOf({ first: 'one', same: 'below' }), await layerOf({ second: 'two', same: 'above' })])

async function fileOf({ snapshotter }: TestStore, image: Image, name: string): Promise<string> {
  const [root] = snapshotter.view(image.chainId!)
  for (const layer of root!.lower) {
    const text = await readFile(join(layer, name), 'utf8').catch(() => undefined)
    if (text !== undefined) return text
  }
  throw new Error(`no ${name} in ${root!.lower.join(' ')}`)
}

for (const docker of [true, false])
  test(`pulls an image with ${docker ? 'Docker' : 'OCI'} media types`, { skip }, async () => {
    await using registry = await startRegistry()
    await using t = await openStore()
    const made = imageOf([await layerOf({ first: 'one' })], { config: { Env: ['A=b'] } }, docker)
    await putImage(registry.url, 'some/image', '1.0', made)
    const image = await t.store.pull(`${registry.host}/some/image:1.0`, {})
    assert.equal(image.id, made.config.digest)
    assert.equal(image.manifestDigest, made.digest)
    assert.deepEqual(image.tags, [`${registry.host}/some/image:1.0`])
    assert.deepEqual(image.digests, [`${registry.host}/some/image@${made.digest}`])
    assert.deepEqual(image.config.config?.Env, ['A=b'])
    assert.equal(await fileOf(t, image, 'first'), 'one')
    assert.deepEqual(t.events, [['pull', `${registry.host}/some/image:1.0`]])
    assert.deepEqual(await t.partial(), [])
  })

test('tells its progress in the words and order of Docker', { skip }, async () => {
  await using registry = await startRegistry()
  await using t = await openStore()
  const made = await twoLayers()
  await putImage(registry.url, 'x', '1', made)
  const image = await t.store.pull(`${registry.host}/x:1`, { progress: t.progress })
  assert.equal(await fileOf(t, image, 'same'), 'above')
  const [first, ...rest] = t.lines
  assert.deepEqual(first, { status: 'Pulling from x', id: '1' })
  assert.deepEqual(rest.slice(-2), [
    { status: `Digest: ${made.digest}` },
    { status: `Status: Downloaded newer image for ${registry.host}/x:1` },
  ])
  for (const { digest, size } of made.layers) {
    const own = t.lines.filter(({ id }) => id === digest.slice(7, 19))
    const statuses = own.map(({ status }) => status).filter((status) => status !== 'Waiting')
    const expected = [
      'Pulling fs layer',
      'Downloading',
      'Verifying Checksum',
      'Download complete',
      'Extracting',
      'Pull complete',
    ]
    assert.deepEqual([...new Set(statuses)], expected)
    for (const status of ['Downloading', 'Extracting'])
      assert.deepEqual(own.findLast((line) => line.status === status)?.progressDetail, { current: size, total: size })
    assert.deepEqual(own.at(-1)?.progressDetail, {})
  }
  t.lines.length = 0
  await t.store.pull(`${registry.host}/x:1`, { progress: t.progress })
  assert.deepEqual(t.lines.at(-1), { status: `Status: Image is up to date for ${registry.host}/x:1` })
})

test('shares layers: what is here already is not fetched again', { skip }, async () => {
  await using registry = await startRegistry()
  await using t = await openStore()
  const base = await layerOf({ base: 'b' })
  await putImage(registry.url, 'a', '1', imageOf([base]))
  await putImage(registry.url, 'b', '1', imageOf([base, await layerOf({ top: 't' })]))
  await t.store.pull(`${registry.host}/a:1`, {})
  const image = await t.store.pull(`${registry.host}/b:1`, { progress: t.progress })
  assert.equal(t.lines.filter(({ status }) => status === 'Already exists').length, 1)
  assert.equal(t.lines.filter(({ status }) => status === 'Pull complete').length, 1)
  assert.equal(await fileOf(t, image, 'base'), 'b')
})

test('a tag that moved takes its name along; the old image stays, dangling', { skip }, async () => {
  await using registry = await startRegistry()
  await using t = await openStore()
  const reference = `${registry.host}/x:latest`
  await putImage(registry.url, 'x', 'latest', imageOf([await layerOf({ v: '1' })]))
  const old = await t.store.pull(`${registry.host}/x`, {})
  await putImage(registry.url, 'x', 'latest', imageOf([await layerOf({ v: '2' })]))
  const young = await t.store.pull(`${registry.host}/x`, {})
  assert.notEqual(young.id, old.id)
  assert.equal(t.store.get(reference).id, young.id)
  assert.deepEqual(t.store.get(old.id).tags, [])
})

test('of an index the image for the platform is taken, attestations never', { skip }, async () => {
  await using registry = await startRegistry()
  await using t = await openStore()
  const amd64 = imageOf([await layerOf({ arch: 'amd64' })])
  const arm64 = imageOf([await layerOf({ arch: 'arm64' })], { architecture: 'arm64', variant: 'v8' })
  for (const one of [amd64, arm64]) await putImage(registry.url, 'multi', one.digest, one)
  const entry = ({ digest, manifest, mediaType }: HandmadeImage, platform: object) => ({
    mediaType,
    digest,
    size: manifest.byteLength,
    platform,
  })
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  const manifests = [
    entry(amd64, { os: 'unknown', architecture: 'unknown' }),
    entry(arm64, { os: 'linux', architecture: 'arm64', variant: 'v8' }),
    entry(amd64, { os: 'linux', architecture: 'amd64' }),
  ]
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }))
  await putManifest(registry.url, 'multi', '1', bytes, mediaType)
  const reference = `${registry.host}/multi:1`
  const foreign = await t.store.pull(reference, { platform: 'linux/arm64' })
  assert.equal(foreign.id, arm64.config.digest)
  assert.deepEqual(foreign.digests, [`${registry.host}/multi@${digestOf(bytes)}`])
  const own = await t.store.pull(reference, { platform: 'linux/amd64' })
  assert.equal(own.id, amd64.config.digest)
  await assert.rejects(t.store.pull(reference, { platform: 'linux/s390x' }), {
    kind: 'not-found',
    message: 'no matching manifest for linux/s390x in the manifest list entries',
  })
  const byDigest = await t.store.pull(`${registry.host}/multi:ignored@${arm64.digest}`, {})
  assert.deepEqual(byDigest.tags, [])
  assert.equal(byDigest.id, arm64.config.digest)
})

test('what is not there is told as Docker tells it', { skip }, async () => {
  await using registry = await startRegistry()
  await using t = await openStore()
  await assert.rejects(t.store.pull(`${registry.host}/x:9`, { progress: t.progress }), {
    kind: 'not-found',
    message: `manifest for ${registry.host}/x:9 not found: manifest unknown: manifest unknown`,
  })
  assert.deepEqual(t.lines, [], 'the status line of the answer must still be free')
  await registry.stop()
  await using other = await openStore()
  await assert.rejects(other.store.pull(`${registry.host}/x`, {}), {
    kind: 'unavailable',
    message: `Get "http://${registry.host}/v2/": dial tcp ${registry.host}: connect: connection refused`,
  })
})

test('credentials are asked for, checked and used', { skip }, async () => {
  await using registry = await startRegistry({ auth: true })
  await using t = await openStore()
  await putImage(registry.url, 'secret', '1', await twoLayers(), basicAuth)
  const reference = `${registry.host}/secret:1`
  await assert.rejects(t.store.pull(reference, {}), { kind: 'unauthorized', message: /no basic auth credentials$/ })
  const wrong = { username: registryUser.username, password: 'open barley' }
  await assert.rejects(t.store.pull(reference, { auth: wrong }), { kind: 'unauthorized' })
  await assert.rejects(t.store.login({ ...wrong, serveraddress: registry.host }), { kind: 'unauthorized' })
  await t.store.login({ ...registryUser, serveraddress: registry.host })
  assert.equal((await t.store.pull(reference, { auth: registryUser })).tags[0], reference)
})

test('a push sends the very bytes that were pulled, and mounts what the registry has', { skip }, async () => {
  await using source = await startRegistry()
  await using target = await startRegistry()
  await using t = await openStore()
  const made = await twoLayers()
  await putImage(source.url, 'x', '1', made)
  await t.store.pull(`${source.host}/x:1`, {})
  t.store.tag(`${source.host}/x:1`, `${target.host}/y:2`)
  await t.store.push(`${target.host}/y:2`, { progress: t.progress })
  assert.deepEqual(t.lines[0], { status: `The push refers to repository [${target.host}/y]` })
  assert.equal(t.lines.filter(({ status }) => status === 'Pushed').length, 2)
  assert.deepEqual(t.lines.slice(-2), [
    { status: `2: digest: ${made.digest} size: ${made.manifest.byteLength}` },
    { progressDetail: {}, aux: { Tag: '2', Digest: made.digest, Size: made.manifest.byteLength } },
  ])
  const served = await fetch(`${target.url}v2/y/manifests/2`, { headers: { accept: made.mediaType } })
  assert.equal(digestOf(Buffer.from(await served.arrayBuffer())), made.digest)
  assert.ok(t.store.get(`${target.host}/y:2`).digests.includes(`${target.host}/y@${made.digest}`))

  t.lines.length = 0
  await t.store.push(`${target.host}/y:2`, { progress: t.progress })
  assert.equal(t.lines.filter(({ status }) => status === 'Layer already exists').length, 2)

  t.lines.length = 0
  t.store.tag(`${target.host}/y:2`, `${target.host}/z:1`)
  await t.store.push(`${target.host}/z:1`, { progress: t.progress })
  assert.equal(t.lines.filter(({ status }) => status === 'Mounted from y').length, 2)
})

test('a push of what is not here sends nothing', { skip }, async () => {
  await using t = await openStore()
  await assert.rejects(t.store.push('127.0.0.1:1/x', {}), {
    kind: 'not-found',
    message: 'An image does not exist locally with the tag: 127.0.0.1:1/x',
  })
  await assert.rejects(t.store.push('127.0.0.1:1/x:2', {}), {
    kind: 'not-found',
    message: 'tag does not exist: 127.0.0.1:1/x:2',
  })
})

test('all tags of a repository, pulled and pushed', { skip }, async () => {
  await using registry = await startRegistry()
  await using t = await openStore()
  await putImage(registry.url, 'many', 'a', imageOf([await layerOf({ v: 'a' })]))
  await putImage(registry.url, 'many', 'b', imageOf([await layerOf({ v: 'b' })]))
  const images = await t.store.pullAll(`${registry.host}/many`, {})
  assert.deepEqual(images.flatMap(({ tags }) => tags).sort(), [`${registry.host}/many:a`, `${registry.host}/many:b`])
  for (const tag of ['a', 'b']) t.store.tag(`${registry.host}/many:${tag}`, `${registry.host}/copy:${tag}`)
  await t.store.push(`${registry.host}/copy`, {})
  const list = (await (await fetch(`${registry.url}v2/copy/tags/list`)).json()) as { tags: string[] }
  assert.deepEqual(list.tags.sort(), ['a', 'b'])
})

test('history tells the steps, newest first, with the size of each layer', { skip }, async () => {
  await using registry = await startRegistry()
  await using t = await openStore()
  const tars = [await layerOf({ v: 'a' }), await layerOf({ v: 'b'.repeat(5000) })]
  const history = [
    { created: '2024-01-02T03:04:05Z', created_by: 'ADD a' },
    { created: '2024-01-02T03:04:06Z', created_by: 'ENV x=y', empty_layer: true },
    { created: '2024-01-02T03:04:07Z', created_by: 'ADD b', comment: 'second' },
  ]
  await putImage(registry.url, 'h', '1', imageOf(tars, { history }))
  const image = await t.store.pull(`${registry.host}/h:1`, {})
  const steps = t.store.history(`${registry.host}/h:1`)
  assert.deepEqual(steps[0], {
    Id: image.id,
    Created: 1704164647,
    CreatedBy: 'ADD b',
    Tags: [`${registry.host}/h:1`],
    Size: tars[1]!.byteLength,
    Comment: 'second',
  })
  assert.deepEqual(
    steps.slice(1).map(({ Id, Size, Tags }) => [Id, Size, Tags]),
    [
      ['<missing>', 0, null],
      ['<missing>', tars[0]!.byteLength, null],
    ],
  )
})

test('removing the last name frees blobs and layers; collecting beside an image frees nothing', { skip }, async () => {
  await using registry = await startRegistry()
  await using t = await openStore()
  await putImage(registry.url, 'x', '1', await twoLayers())
  const image = await t.store.pull(`${registry.host}/x:1`, {})
  assert.equal(await t.store.collect(), 0)
  assert.ok(t.snapshotter.has(image.chainId!))
  const removed = await t.store.remove(`${registry.host}/x:1`, { force: false, prune: true })
  assert.deepEqual(removed.slice(0, 4), [
    { Untagged: `${registry.host}/x:1` },
    { Untagged: image.digests[0]! },
    { Deleted: image.id },
    { Deleted: image.chainId! },
  ])
  assert.deepEqual(t.content.list(), [])
  assert.ok(!t.snapshotter.has(image.chainId!))
  await t.store.pull(`${registry.host}/x:1`, {})
  assert.ok(t.snapshotter.has(image.chainId!))
})
