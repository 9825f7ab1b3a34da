/** Layers of one image beside each other: a later one is unpacked before an earlier one has arrived, and waits for its place. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pack } from 'tar-stream'
import { digestOf, type HandmadeImage, imageOf, layerOf } from '../registry.ts'
import { type HostileRegistry, sendHalf, startHostile } from './registry-hostile.ts'
import { openStore, noRoot as skip, type TestStore } from './registry-store.ts'

/** Threads also for layers as small as these, and a registry that may take its time. */
const openThreaded = (): Promise<TestStore> =>
  openStore({ unpackers: { threadsFrom: 0 }, registry: { stallTimeout: 60_000 } })

/** A layer whose root has an owner and a mode. */
async function rootedLayer(name: string): Promise<Buffer> {
  const archive = pack()
  archive.entry({ name: './', type: 'directory', mode: 0o1750, uid: 5, gid: 6 })
  archive.entry({ name, mode: 0o644 }, randomBytes(100_000))
  archive.finalize()
  return await buffer(archive as unknown as Readable)
}

/** Sends half of the image's first layer, and the rest when it is told to. */
function holdFirst(registry: HostileRegistry, { layers: [first] }: HandmadeImage): () => void {
  const { promise, resolve } = Promise.withResolvers<void>()
  registry.on(`blobs/${first!.digest}`, (_, response) =>
    sendHalf(
      response,
      first!.bytes,
      () => void promise.then(() => response.end(first!.bytes.subarray(first!.size / 2))),
    ),
  )
  return resolve
}

const staged = ({ root }: TestStore): string[] =>
  readdirSync(join(root, 'snapshots')).filter((name) => /^\d+$/.test(name))

async function untilUnpacked(t: TestStore, ...files: string[]): Promise<void> {
  const there = (file: string): boolean =>
    staged(t).some((name) => existsSync(join(t.root, 'snapshots', name, 'fs', file)))
  while (!files.every(there)) await sleep(5)
}

async function nothingStaged(t: TestStore): Promise<void> {
  await t.snapshotter.settled()
  assert.deepEqual(staged(t), [])
}

test('a layer is unpacked while the one below it is still on its way, and stands on it in the end', {
  skip,
}, async () => {
  await using registry = await startHostile()
  await using t = await openThreaded()
  const made = imageOf([await rootedLayer('first'), await layerOf({ second: 'x' }), await layerOf({ third: 'x' })])
  registry.add('x', '1', made)
  const release = holdFirst(registry, made)
  const pulling = t.store.pull(`${registry.host}/x:1`, { progress: t.progress })
  await untilUnpacked(t, 'second', 'third')
  assert.ok(!t.lines.some(({ status }) => status === 'Pull complete'))
  release()
  const image = await pulling
  const lower = t.snapshotter.view(image.chainId!)[0]!.lower.filter((path) => !path.endsWith('/empty'))
  assert.deepEqual(
    lower.map((path) => readdirSync(path)),
    [['third'], ['second'], ['first']],
  )
  for (const path of lower) {
    const { mode, uid, gid } = statSync(path)
    assert.deepEqual([mode & 0o7777, uid, gid], [0o1750, 5, 6], 'a root that no archive describes is as the one below')
  }
  const complete = t.lines.filter(({ status }) => status === 'Pull complete').map(({ id }) => id)
  assert.deepEqual(
    complete,
    made.layers.map(({ digest }) => digest.slice(7, 19)),
  )
})

test('a pull that is cancelled while a layer waits for its place leaves nothing of it', { skip }, async () => {
  await using registry = await startHostile()
  await using t = await openThreaded()
  const made = imageOf([await layerOf({ first: randomBytes(100_000) }), await layerOf({ second: 'x' })])
  registry.add('x', '1', made)
  const release = holdFirst(registry, made)
  const controller = new AbortController()
  const pulling = t.store.pull(`${registry.host}/x:1`, { signal: controller.signal })
  await untilUnpacked(t, 'second')
  controller.abort(new Error('gone away'))
  await assert.rejects(pulling, /gone away/)
  await nothingStaged(t)
  release()
  const image = await t.store.pull(`${registry.host}/x:1`, {})
  assert.ok(t.snapshotter.has(image.chainId!))
})

test('a layer that waits ends with the one it waits for, in the words of that', { skip }, async () => {
  await using registry = await startHostile()
  await using t = await openThreaded()
  const tars = [await layerOf({ first: randomBytes(100_000) }), await layerOf({ second: 'x' })]
  const lie = digestOf('something else')
  const made = imageOf(tars, { rootfs: { type: 'layers', diff_ids: [lie, digestOf(tars[1]!)] } })
  registry.add('x', '1', made)
  const release = holdFirst(registry, made)
  const pulling = t.store.pull(`${registry.host}/x:1`, {})
  await untilUnpacked(t, 'second')
  release()
  await assert.rejects(pulling, { kind: 'invalid', message: new RegExp(`configuration says ${lie}`) })
  await nothingStaged(t)
  assert.deepEqual(t.store.list(), [])
})

test('of two pulls with a layer in common, one that is cancelled does not hold up the other', { skip }, async () => {
  await using registry = await startHostile()
  await using t = await openThreaded()
  const common = await layerOf({ common: randomBytes(100_000) })
  const left = imageOf([common, await layerOf({ left: 'x' })])
  const right = imageOf([common, await layerOf({ right: 'x' })])
  registry.add('x', 'left', left)
  registry.add('x', 'right', right)
  const release = holdFirst(registry, left)
  const controller = new AbortController()
  const cancelled = t.store.pull(`${registry.host}/x:left`, { signal: controller.signal })
  await untilUnpacked(t, 'left')
  const going = t.store.pull(`${registry.host}/x:right`, {})
  await untilUnpacked(t, 'right')
  controller.abort(new Error('gone away'))
  await assert.rejects(cancelled, /gone away/)
  release()
  assert.ok(t.snapshotter.has((await going).chainId!))
  await t.snapshotter.settled()
  assert.equal(staged(t).length, 2)
})
