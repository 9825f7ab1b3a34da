/** The image `host`: a machine's own directories below a container's writes. */
import assert from 'node:assert/strict'
import {
  closeSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isKind } from '../../engine/base/errors.ts'
import { Collector } from '../../engine/images/collect.ts'
import { commitImage } from '../../engine/images/commit.ts'
import { refreshHostImage } from '../../engine/images/host-image.ts'
import type { Image } from '../../engine/images/image.ts'
import { layerChanges } from '../../engine/images/layer-changes.ts'
import { removeOldHosts } from '../../engine/images/remove.ts'
import { saveImages } from '../../engine/images/save.ts'
import { openFlags } from '../../engine/kernel/paths.ffi.ts'
import { openView } from '../../engine/snapshots/view.ts'
import { ImageBed, needsRoot } from './image-bed.ts'

const options = { skip: needsRoot }
const invalid = (words: RegExp) => (error: unknown) => isKind(error, 'invalid') && words.test(error.message)

/** Writes as a container would. */
function write(bed: ImageBed, key: string, work: (root: string) => void): void {
  using view = openView(bed.snapshotter.mounts(key))
  work(`/proc/self/fd/${view.fd}`)
}

/** A machine with programs, users, and things that must stay its own. */
function machineOf(bed: ImageBed): string {
  const machine = bed.place('machine')
  for (const name of ['usr/bin', 'opt/tool', 'etc/ssl/certs', 'etc/ssl/private', 'root'])
    mkdirSync(join(machine, name), { recursive: true })
  symlinkSync('usr/bin', join(machine, 'bin'))
  writeFileSync(join(machine, 'usr/bin/bash'), 'program', { mode: 0o755 })
  writeFileSync(join(machine, 'opt/tool/run'), 'tool')
  for (const name of ['passwd', 'shadow', 'npmrc', 'ssl/certs/ca.pem', 'ssl/private/key.pem'])
    writeFileSync(join(machine, 'etc', name), name)
  writeFileSync(join(machine, 'etc/ssl/certs/secret.key'), 'secret', { mode: 0o600 })
  writeFileSync(join(machine, 'root/token'), 'secret')
  return machine
}

test("the image host has the machine's programs, a few of its files and none of its secrets", options, async () => {
  await using bed = new ImageBed()
  const machine = machineOf(bed)
  const image = await refreshHostImage(bed.depot, { machine, store: '/nowhere' })
  assert.deepEqual([image.tags, image.host, image.config.config?.Cmd], [['host:latest'], true, ['bash']])
  await bed.snapshotter.prepare('key', image.chainId)
  write(bed, 'key', (root) => {
    assert.equal(readFileSync(`${root}/opt/tool/run`, 'utf8'), 'tool')
    assert.equal(readFileSync(`${root}/etc/passwd`, 'utf8'), 'passwd')
    assert.equal(readFileSync(`${root}/etc/ssl/certs/ca.pem`, 'utf8'), 'ssl/certs/ca.pem')
    for (const name of ['etc/shadow', 'etc/npmrc', 'etc/ssl/private', 'etc/ssl/certs/secret.key', 'root/token'])
      assert.equal(lstatSync(`${root}/${name}`, { throwIfNoEntry: false }), undefined)
    assert.equal(lstatSync(`${root}/tmp`).mode & 0o7777, 0o1777)
    writeFileSync(`${root}/usr/bin/mine`, 'mine')
  })
  using view = openView(bed.snapshotter.mounts('key'))
  closeSync(view.open('/bin/bash', openFlags.O_RDONLY))
  assert.deepEqual(readdirSync(join(machine, 'usr/bin')), ['bash'])
})

test('the image host is made anew when the machine has changed, and only then', options, async () => {
  await using bed = new ImageBed()
  const machine = machineOf(bed)
  const first = await refreshHostImage(bed.depot, { machine, store: '/nowhere' })
  assert.equal((await refreshHostImage(bed.depot, { machine, store: '/nowhere' })).id, first.id)
  await bed.snapshotter.prepare('key', first.chainId)
  writeFileSync(join(machine, 'etc/passwd'), 'one more user')
  const second = await refreshHostImage(bed.depot, { machine, store: '/nowhere' })
  assert.notEqual(second.id, first.id)
  assert.equal(bed.depot.records.get('host').id, second.id)
  write(bed, 'key', (root) => assert.equal(readFileSync(`${root}/etc/passwd`, 'utf8'), 'passwd'))
})

test('an image host that the machine has left behind goes, unless a container stands on it', options, async () => {
  await using bed = new ImageBed()
  const machine = machineOf(bed)
  const made = []
  for (const text of ['one', 'two', 'three']) {
    writeFileSync(join(machine, 'etc/passwd'), text)
    made.push(await refreshHostImage(bed.depot, { machine, store: '/nowhere' }))
  }
  const [first, second, third] = made as [Image, Image, Image]
  const collector = new Collector(bed.depot, () => ({ blobs: [], chains: [] }))
  const uses = [{ containerId: 'c', running: false, reference: 'host' }]
  let used: Image | undefined = second
  const usedBy = (id: string) => (id === used?.id ? uses : [])
  const left = () => bed.depot.records.list().map(({ id }) => id)
  await removeOldHosts({ depot: bed.depot, collector, usedBy })
  assert.deepEqual(new Set(left()), new Set([second.id, third.id]))
  assert.equal(bed.snapshotter.has(first.chainId as string), false)
  assert.deepEqual(bed.events.at(-1), ['delete', first.id])
  used = undefined
  await removeOldHosts({ depot: bed.depot, collector, usedBy })
  assert.deepEqual(left(), [third.id])
  assert.equal(bed.depot.records.get('host').id, third.id)
})

test('a commit on host keeps its changes to /usr; neither is saved', options, async () => {
  await using bed = new ImageBed()
  const image = await refreshHostImage(bed.depot, { machine: machineOf(bed), store: '/nowhere' })
  await bed.snapshotter.prepare('key', image.chainId)
  write(bed, 'key', (root) => {
    writeFileSync(`${root}/usr/bin/mine`, 'mine')
    unlinkSync(`${root}/usr/bin/bash`)
    writeFileSync(`${root}/home/file`, 'x')
  })
  assert.deepEqual(
    layerChanges(bed.snapshotter.uppers('key')).map(({ kind, path }) => `${kind} ${path}`),
    ['modified /home', 'added /home/file', 'modified /usr/bin', 'deleted /usr/bin/bash', 'added /usr/bin/mine'],
  )
  const committed = await commitImage(bed.depot, bed.transfers, {
    snapshotKey: 'key',
    base: image,
    config: {},
    reference: 'mine',
  })
  await bed.snapshotter.prepare('next', committed.chainId)
  write(bed, 'next', (root) => assert.deepEqual(readdirSync(`${root}/usr/bin`), ['mine']))
  for (const name of ['host', 'mine'])
    await assert.rejects(
      saveImages(bed.depot, [name]),
      invalid(/^cannot save (host|mine):latest: its programs are this machine's own/),
    )
})

test('a machine whose /usr holds the store has no image host', options, async () => {
  await using bed = new ImageBed()
  const machine = machineOf(bed)
  await assert.rejects(
    refreshHostImage(bed.depot, { machine, store: join(machine, 'usr/lib/drydock') }),
    (error: unknown) => isKind(error, 'unavailable') && /holds the engine's directory/.test(error.message),
  )
})
