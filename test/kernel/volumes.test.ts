/** Volumes as directories of the store, on a real disk. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { Database } from '../../engine/base/database.ts'
import { isKind } from '../../engine/base/errors.ts'
import { LocalVolumes, volumeSchema } from '../../engine/volumes/local-volumes.ts'

const skip = process.getuid?.() !== 0 && 'needs root'

let root: string
let database: Database
let volumes: LocalVolumes
beforeEach(() => {
  root = mkdtempSync('/var/tmp/drydock-volumes-')
  database = new Database(join(root, 'db'), [volumeSchema])
  volumes = new LocalVolumes(database, root)
})
afterEach(async () => {
  await volumes.settled()
  database[Symbol.dispose]()
  rmSync(root, { recursive: true, force: true })
})

test('created once, found by exact name, listed in order', { skip }, async () => {
  const first = await volumes.create({ name: 'data', labels: { a: '1' } })
  assert.equal(first.mountpoint, join(root, 'volumes/data/_data'))
  assert.ok(existsSync(first.mountpoint))
  const again = await volumes.create({ name: 'data', labels: { a: '2' } })
  assert.deepEqual(again, first)
  await volumes.create({ name: 'also' })
  assert.deepEqual(
    volumes.list().map(({ name }) => name),
    ['also', 'data'],
  )
  assert.throws(
    () => volumes.get('dat'),
    (error) => isKind(error, 'not-found') && error.message === 'get dat: no such volume',
  )
})

test('without a name it is anonymous and says so', { skip }, async () => {
  const { name, labels } = await volumes.create({})
  assert.match(name, /^[0-9a-f]{64}$/)
  assert.deepEqual(labels, { 'com.docker.volume.anonymous': '' })
})

test('names and options that cannot be are refused, and make nothing', { skip }, async () => {
  for (const name of ['a', '..', '.trash', 'a/b', '-a', 'a\0b', 'ä1', 'x'.repeat(300)])
    await assert.rejects(volumes.create({ name }), (error) => isKind(error, 'invalid'), name)
  for (const options of [{ nope: '1' }, { type: 'nfs' }, { o: 'bind', device: 'relative' }] as Record<string, string>[])
    await assert.rejects(volumes.create({ name: 'bad', options }), (error) => isKind(error, 'invalid'))
  await assert.rejects(volumes.create({ name: 'bad', driver: 'cloud' }), (error) => isKind(error, 'not-found'))
  assert.deepEqual(volumes.list(), [])
  assert.deepEqual(readdirSync(join(root, 'volumes')), ['.trash'])
})

test('what a killed daemon left of a removal or a creation goes, what nobody was removing stays', {
  skip,
}, async () => {
  const path = (name: string): string => join(root, 'volumes', name)
  for (const name of ['kept', 'removed', 'lost']) {
    const { mountpoint } = await volumes.create({ name })
    writeFileSync(join(mountpoint, 'file'), 'x')
  }
  writeFileSync(join(path('kept'), 'removing'), '')
  writeFileSync(join(path('removed'), 'removing'), '')
  database.run("DELETE FROM volume WHERE name IN ('removed', 'lost')")
  mkdirSync(join(path('begun'), '_data'), { recursive: true })
  volumes = new LocalVolumes(database, root)
  await volumes.settled()
  assert.deepEqual(readdirSync(join(root, 'volumes')).sort(), ['.trash', 'kept', 'lost'])
  assert.deepEqual(
    volumes.list().map(({ name }) => name),
    ['kept'],
  )
  await volumes.remove('kept', { force: false, usedBy: [] })
  assert.equal(existsSync(path('kept')), false)
})

test('removed with what is in it, unless somebody uses it', { skip }, async () => {
  const { mountpoint } = await volumes.create({ name: 'data' })
  mkdirSync(join(mountpoint, 'deep/er'), { recursive: true })
  writeFileSync(join(mountpoint, 'deep/file'), 'x'.repeat(1000))
  assert.equal(await volumes.usage('data'), 1000)
  await assert.rejects(
    volumes.remove('data', { force: true, usedBy: ['abc', 'def'] }),
    (error) => isKind(error, 'conflict') && error.message === 'remove data: volume is in use - [abc, def]',
  )
  await volumes.remove('data', { force: false, usedBy: [] })
  assert.equal(existsSync(mountpoint), false)
  await volumes.settled()
  assert.deepEqual(readdirSync(join(root, 'volumes/.trash')), [])
  await assert.rejects(volumes.remove('data', { force: false, usedBy: [] }), (error) => isKind(error, 'not-found'))
  await volumes.remove('data', { force: true, usedBy: [] })
})

test('the files that a killed daemon left of a removed volume are not those of a new one', { skip }, async () => {
  mkdirSync(join(root, 'volumes/data/_data'), { recursive: true })
  writeFileSync(join(root, 'volumes/data/_data/old'), 'of somebody else')
  const { mountpoint } = await volumes.create({ name: 'data' })
  assert.deepEqual(readdirSync(mountpoint), [])
})
