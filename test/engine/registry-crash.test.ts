/** A daemon that is killed in the middle of a pull: the next one has a whole store and goes on. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type HandmadeImage, imageOf, layerOf } from '../registry.ts'
import { sendHalf, startHostile } from './registry-hostile.ts'
import { openStore, noRoot as skip } from './registry-store.ts'

/** Pulls, and kills itself at the given line of progress. */
const victim = `
  import { openStore } from ${JSON.stringify(new URL('registry-store.ts', import.meta.url).href)}
  const [root, reference, last] = process.argv.slice(1)
  const { store } = await openStore({ root, unpackers: { threadsFrom: 0 } })
  let lines = 0
  const progress = () => { if (++lines === Number(last)) process.kill(process.pid, 'SIGKILL') }
  await store.pull(reference, { progress })
  process.kill(process.pid, 'SIGKILL')
`

async function pullAndDie(root: string, reference: string, line: number): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', victim, root, reference, String(line)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const signal = await new Promise((resolve) => child.once('exit', (_, name) => resolve(name)))
  assert.equal(signal, 'SIGKILL')
}

async function temporaryRoot(): Promise<AsyncDisposable & { root: string }> {
  const root = await mkdtemp(join(tmpdir(), 'images-'))
  return { root, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) }
}

const threeLayers = async (): Promise<HandmadeImage> =>
  imageOf([
    await layerOf({ a: randomBytes(100_000) }),
    await layerOf({ b: randomBytes(100_000) }),
    await layerOf({ c: randomBytes(100_000) }),
  ])

for (const line of [1, 5, 8, 12, 14, 16, 20, 1000])
  test(`killed at line ${line} of its progress, the pull can be done again`, { skip }, async () => {
    await using registry = await startHostile()
    await using place = await temporaryRoot()
    const made = await threeLayers()
    registry.add('x', '1', made)
    const reference = `${registry.host}/x:1`
    await pullAndDie(place.root, reference, line)
    await using t = await openStore({ root: place.root })
    for (const image of t.store.list()) assert.ok(t.snapshotter.has(image.chainId!), 'an image that is listed is whole')
    const image = await t.store.pull(reference, {})
    assert.equal(image.id, made.config.digest)
    assert.ok(t.snapshotter.has(image.chainId!))
    for (const { digest, size } of [...made.layers, made.config]) assert.equal(t.content.size(digest as never), size)
    assert.deepEqual(await t.partial(), [])
    await t.store.remove(reference, { force: false, prune: true })
    assert.deepEqual(t.content.list(), [], 'the killed pull holds nothing any more')
  })

test('what a killed pull had received is not received again', { skip }, async () => {
  await using registry = await startHostile()
  await using place = await temporaryRoot()
  const made = imageOf([await layerOf({ a: randomBytes(400_000) })])
  registry.add('x', '1', made)
  const path = `blobs/${made.layers[0]!.digest}`
  registry.on(path, (_, response, times) => (times === 1 ? sendHalf(response, made.layers[0]!.bytes, () => {}) : false))
  // Line 3 is the first `Downloading`.
  await pullAndDie(place.root, `${registry.host}/x:1`, 3)
  await using t = await openStore({ root: place.root })
  await t.store.pull(`${registry.host}/x:1`, {})
  assert.match(registry.asked.findLast((asked) => asked.path.includes(path))!.headers.range!, /^bytes=[1-9]/)
})
