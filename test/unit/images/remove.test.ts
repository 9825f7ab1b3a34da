/** Wire behaviour of `docker rmi`: what goes, what is in the way, in which words. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { Database } from '../../../engine/base/database.ts'
import { ContentStore } from '../../../engine/images/content-store.ts'
import { type Digest, sha256 } from '../../../engine/images/digest.ts'
import type { ImageUse } from '../../../engine/images/image.ts'
import { ImageStore } from '../../../engine/images/image-store.ts'
import { imageSchema } from '../../../engine/images/image-table.ts'
import { parseReference } from '../../../engine/images/reference.ts'
import { OverlaySnapshotter, snapshotSchema } from '../../../engine/snapshots/overlay-snapshotter.ts'

let root: string
let database: Database
let store: ImageStore
let uses: Map<string, ImageUse[]>
let events: string[]

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'remove-'))
  database = new Database(':memory:', [imageSchema, snapshotSchema])
  uses = new Map()
  events = []
  store = new ImageStore({
    database,
    content: new ContentStore(join(root, 'blobs')),
    snapshotter: new OverlaySnapshotter(database, root),
    usedBy: (id) => uses.get(id) ?? [],
    onEvent: (action) => events.push(action),
  })
})
afterEach(async () => {
  await store[Symbol.asyncDispose]()
  database[Symbol.dispose]()
  rmSync(root, { recursive: true })
})

const digest = sha256('a manifest')

/** An image without layers; returns its id. */
function add(name: string, ...references: string[]): Digest {
  const id = sha256(name)
  const config = { architecture: 'amd64', os: 'linux', author: name, rootfs: { type: 'layers' as const, diff_ids: [] } }
  const parsed = references.map(parseReference)
  store.depot.records.createImage({
    manifestDigest: sha256(`manifest ${name}`),
    configDigest: id,
    config,
    references: parsed,
  })
  return id
}

const container = 'c0ffee'.repeat(10).padEnd(64, '0')
const used = (id: string, running: boolean): void =>
  void uses.set(id, [{ containerId: container, running, reference: 'x' }])
const gently = { force: false, prune: true }
const byForce = { force: true, prune: true }

test('by its only name: untagged and deleted', async () => {
  const id = add('x', 'x:1', `x@${digest}`)
  assert.deepEqual(await store.remove('x:1', gently), [
    { Untagged: 'x:1' },
    { Untagged: `x@${digest}` },
    { Deleted: id },
  ])
  assert.deepEqual(events, ['untag', 'untag', 'delete'])
  assert.throws(() => store.get('x:1'), { kind: 'not-found', message: 'No such image: x:1' })
})

test('by one of several names: only that one, with the digests of its repository', async () => {
  const id = add('x', 'x:1', 'x:2', 'y:1', `y@${digest}`)
  assert.deepEqual(await store.remove('x:1', gently), [{ Untagged: 'x:1' }])
  assert.deepEqual(await store.remove('y:1', gently), [{ Untagged: 'y:1' }, { Untagged: `y@${digest}` }])
  assert.deepEqual(store.get(id).tags, ['x:2'])
  used(id, true)
  store.tag('x:2', 'z')
  assert.deepEqual(await store.remove('z', gently), [{ Untagged: 'z:latest' }], 'a used image can lose a name of many')
})

test('by id or prefix: all names of one repository', async () => {
  const id = add('x', 'x:1', `x@${digest}`)
  assert.deepEqual(await store.remove(id.slice(7, 15), gently), [
    { Untagged: 'x:1' },
    { Untagged: `x@${digest}` },
    { Deleted: id },
  ])
})

test('by id with several names: force', async () => {
  const id = add('x', 'x:1', 'y:1')
  await assert.rejects(store.remove(id, gently), {
    kind: 'conflict',
    message: `conflict: unable to delete ${id.slice(7, 19)} (must be forced) - image is referenced in multiple repositories`,
  })
  assert.deepEqual(store.get(id).tags, ['x:1', 'y:1'])
  assert.deepEqual(await store.remove(id, byForce), [{ Untagged: 'x:1' }, { Untagged: 'y:1' }, { Deleted: id }])
})

test('in use by a stopped container: force', async () => {
  const id = add('x', 'x:1')
  used(id, false)
  await assert.rejects(store.remove('x:1', gently), {
    kind: 'conflict',
    message:
      `conflict: unable to remove repository reference "x:1" (must force) - ` +
      `container c0ffeec0ffee is using its referenced image ${id.slice(7, 19)}`,
  })
  await assert.rejects(store.remove(id, gently), {
    kind: 'conflict',
    message:
      `conflict: unable to delete ${id.slice(7, 19)} (must be forced) - ` +
      'image is being used by stopped container c0ffeec0ffee',
  })
  assert.deepEqual(await store.remove('x:1', byForce), [{ Untagged: 'x:1' }, { Deleted: id }])
})

test('in use by a running container: never, and nothing is changed', async () => {
  const id = add('x', 'x:1')
  used(id, true)
  const refusal = {
    kind: 'conflict',
    message:
      `conflict: unable to delete ${id.slice(7, 19)} (cannot be forced) - ` +
      'image is being used by running container c0ffeec0ffee',
  }
  for (const [name, how] of [
    ['x:1', byForce],
    [id, byForce],
    [id, gently],
  ] as const)
    await assert.rejects(store.remove(name, how), refusal)
  assert.deepEqual(store.get('x:1').tags, ['x:1'])
  assert.deepEqual(events, [])
})

test('what is not there is not found; what is no reference is invalid', async () => {
  await assert.rejects(store.remove('nope', gently), { kind: 'not-found', message: 'No such image: nope:latest' })
  await assert.rejects(store.remove(sha256('?'), gently), {
    kind: 'not-found',
    message: `No such image: ${sha256('?')}`,
  })
  await assert.rejects(store.remove('No pe', gently), { kind: 'invalid' })
})

test('names are looked up in the order of Docker: id, reference, prefix', () => {
  const first = add('first', 'x:1')
  const prefix = first.slice(7, 11)
  assert.equal(store.get(first).id, first)
  assert.equal(store.get(first.slice(7)).id, first)
  assert.equal(store.get(prefix).id, first)
  assert.equal(store.get(`sha256:${prefix}`).id, first)
  const second = add('second', `${prefix}:latest`)
  assert.equal(store.get(prefix).id, second, 'a name goes before a prefix')
  assert.throws(() => store.get('sha256:'), { kind: 'invalid' })
  for (let n = 0; n < 40; n++) add(`many ${n}`)
  const letters = store.list().map(({ id }) => id[7]!)
  const twice = letters.find((letter, at) => letters.indexOf(letter) !== at)!
  assert.throws(() => store.get(twice), { kind: 'not-found' }, 'a prefix of two names nothing')
})

test('a tag moves; a malformed one changes nothing', () => {
  const [a, b] = [add('a', 'x:1'), add('b', 'x:2')]
  store.tag('x:2', 'x:1')
  assert.deepEqual(store.get(a).tags, [])
  assert.deepEqual(store.get(b).tags, ['x:1', 'x:2'])
  assert.throws(() => store.tag('x:2', 'Upper:1'), { kind: 'invalid' })
  assert.throws(() => store.tag('x:2', `x@${digest}`), { kind: 'invalid' })
  assert.throws(() => store.tag('nope', 'y'), { kind: 'not-found' })
})

test('prune: dangling ones, or all that nothing uses; a dry run only tells', async () => {
  const [dangling, half, named, busy] = [add('d'), add('h', `h@${digest}`), add('n', 'n:1', 'm:1'), add('b', 'b:1')]
  used(busy, false)
  const all = { dangling: true, filter: () => true }
  const told = await store.prune({ ...all, dryRun: true })
  assert.equal(store.list().length, 4)
  const { deleted } = await store.prune(all)
  assert.deepEqual(deleted, told.deleted)
  assert.deepEqual(
    new Set(deleted.flatMap((one) => ('Deleted' in one ? [one.Deleted] : []))),
    new Set([dangling, half]),
  )
  assert.deepEqual((await store.prune({ dangling: false, filter: ({ id }) => id !== named })).deleted, [])
  await store.prune({ dangling: false, filter: () => true })
  assert.deepEqual(
    store.list().map(({ id }) => id),
    [busy],
  )
})

test('collection keeps blobs that a lease, an image or a layer above names, and no other', async () => {
  const { content, leases, records } = store.depot
  const lease = leases.open()
  const held = (await lease.write(content, 'held')).digest
  const loose = (await content.write('loose')).digest
  const layer = await content.write('layer')
  const config = await content.write('{}')
  const manifest = await content.write(
    JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layer }],
    }),
  )
  records.createImage({
    manifestDigest: manifest.digest,
    configDigest: config.digest,
    config: { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
    references: [parseReference('x')],
  })
  assert.equal(await store.collect(), 5)
  assert.ok(!content.has(loose))
  for (const kept of [held, layer.digest, config.digest, manifest.digest]) assert.ok(content.has(kept))
  lease[Symbol.dispose]()
  await store.collect()
  assert.ok(!content.has(held))
  await store.remove('x', gently)
  assert.deepEqual(content.list(), [])
})

test('a lease that was kept holds until it expires, is pruned, or the same work succeeds', async () => {
  const { content, leases } = store.depot
  const fail = async (text: string): Promise<Digest> => {
    using lease = leases.open()
    const { digest: written } = await lease.write(content, text)
    lease.keep()
    return written
  }
  const first = await fail('first')
  const other = await fail('other')
  await store.collect()
  assert.ok(content.has(first))
  {
    using again = leases.open()
    again.blob(first)
  }
  await store.collect()
  assert.ok(!content.has(first), 'the second try ended well, and the image is gone')
  assert.ok(content.has(other), 'which is not about the other one')
  await store.prune({ dangling: true, filter: () => true })
  assert.ok(!content.has(other))
  const late = await fail('late')
  leases.expire(Date.now() + 25 * 60 * 60 * 1000)
  await store.collect()
  assert.ok(!content.has(late))
})
