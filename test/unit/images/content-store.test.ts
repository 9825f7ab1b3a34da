import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { abandonedAfter, ContentStore } from '../../../engine/images/content-store.ts'
import { hexOf, sha256 } from '../../../engine/images/digest.ts'

let root: string
let store: ContentStore

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'content-'))
  store = new ContentStore(join(root, 'blobs'))
})
afterEach(() => rmSync(root, { recursive: true }))

const ingest = (): string[] => readdirSync(join(root, 'ingest'))

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

test('the directory is an OCI image layout', async () => {
  const { digest } = await store.write('hello')
  assert.deepEqual(JSON.parse(readFileSync(join(root, 'oci-layout'), 'utf8')), { imageLayoutVersion: '1.0.0' })
  assert.equal(readFileSync(join(root, 'blobs', 'sha256', hexOf(digest)), 'utf8'), 'hello')
})

test('what was written can be read, sized, listed and deleted', async () => {
  const { digest, size } = await store.write(pieces('hel', 'lo'))
  assert.equal(digest, sha256('hello'))
  assert.equal(size, 5)
  assert.equal(store.size(digest), 5)
  assert.equal((await store.read(digest).toArray()).join(''), 'hello')
  assert.deepEqual(store.list(), [digest])
  store.delete(digest)
  store.delete(digest)
  assert.ok(!store.has(digest))
  assert.throws(() => store.size(digest), { kind: 'not-found' })
  await assert.rejects(store.readJson(digest), { kind: 'not-found' })
})

test('a wrong digest, a wrong size and a broken source leave nothing', async () => {
  const other = sha256('other')
  await assert.rejects(store.write('hello', { digest: other }), { kind: 'invalid', message: new RegExp(other) })
  await assert.rejects(store.write('hello', { size: 4 }), { kind: 'invalid' })
  await assert.rejects(store.write('hello', { size: 6 }), { kind: 'invalid', message: /5 bytes instead of 6/ })
  await assert.rejects(store.write(pieces('hello', 'hello'), { limit: 9 }), { kind: 'invalid' })
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('hel')
    throw new Error('the cable was pulled')
  }
  await assert.rejects(store.write(broken()), /the cable was pulled/)
  assert.deepEqual(store.list(), [])
  assert.deepEqual(ingest(), [])
})

test('an aborted write leaves nothing', async () => {
  const abort = new AbortController()
  async function* source(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('hel')
    abort.abort(new Error('enough'))
    yield Buffer.from('lo')
  }
  await assert.rejects(store.write(source(), {}, abort.signal), /enough/)
  assert.deepEqual(ingest(), [])
})

test('the digest is told before the blob can be seen', async () => {
  let seen: boolean | undefined
  await store.write('hello', {}, undefined, (digest) => {
    seen = store.has(digest)
  })
  assert.equal(seen, false)
})

test('a download goes on where the last one stopped, also over the hash', async () => {
  const digest = sha256('hello world')
  {
    await using download = await store.download(digest)
    await download.ingest.append(pieces('hello '))
    await assert.rejects(store.download(digest), { kind: 'conflict' })
  }
  assert.deepEqual(ingest(), [hexOf(digest)])
  {
    await using download = await store.download(digest)
    assert.equal(download.ingest.offset, 6)
    await download.ingest.append(pieces('world'))
    await download.commit(11)
  }
  assert.ok(store.has(digest))
  assert.deepEqual(ingest(), [])
})

test('a download that turns out wrong is deleted', async () => {
  const digest = sha256('right')
  {
    await using download = await store.download(digest)
    await download.ingest.append(pieces('wrong'))
    await assert.rejects(download.commit(5), { kind: 'invalid' })
  }
  assert.deepEqual(ingest(), [])
  assert.ok(!store.has(digest))
})

test('a blob that changed on the disk is not parsed', async () => {
  const { digest } = await store.write('{"a":1}')
  assert.deepEqual(await store.readJson(digest), { a: 1 })
  writeFileSync(store.path(digest), '{"a":2}')
  await assert.rejects(store.readJson(digest), { kind: 'internal', message: /has changed on the disk/ })
})

test('recovery drops what was being written, keeps young downloads, drops old ones', async () => {
  const [young, old] = [hexOf(sha256('young')), hexOf(sha256('old'))]
  for (const name of ['tmp-1', young, old]) writeFileSync(join(root, 'ingest', name), 'part')
  const long = new Date(Date.now() - abandonedAfter - 1000)
  utimesSync(join(root, 'ingest', old), long, long)
  const { digest } = await store.write('kept')
  store.recover()
  assert.deepEqual(ingest(), [young])
  assert.ok(store.has(digest))
  {
    await using download = await store.download(sha256('busy'))
    await download.ingest.append(pieces('x'))
    store.dropPartial()
    assert.deepEqual(ingest(), [hexOf(sha256('busy'))])
  }
})

test('files that are no blobs are not listed', () => {
  writeFileSync(join(root, 'blobs', 'sha256', 'README'), '')
  assert.deepEqual(store.list(), [])
})
