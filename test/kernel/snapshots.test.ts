import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isKind } from '../../engine/base/errors.ts'
import { openFlags } from '../../engine/kernel/paths.ffi.ts'
import { OverlaySnapshotter } from '../../engine/snapshots/overlay-snapshotter.ts'
import { openDetached, openThroughName, openView, readOnly } from '../../engine/snapshots/view.ts'
import { ImageBed, mountsWith, needsRoot, openDescriptors } from './image-bed.ts'

const options = { skip: needsRoot }
const kind = (name: Parameters<typeof isKind>[1]) => (error: unknown) => isKind(error, name)

/** Commits a layer with these files. */
async function layer(
  bed: ImageBed,
  chain: string,
  parent: string | undefined,
  files: Record<string, string>,
): Promise<string> {
  const staged = await bed.snapshotter.stage()
  for (const [name, contents] of Object.entries(files)) writeFileSync(join(staged.directory, name), contents)
  await staged.commit(chain, { parent, ownRoot: false })
  return staged.directory
}

const bottom = { parent: undefined, ownRoot: false }

const numbers = (bed: ImageBed): string[] =>
  readdirSync(join(bed.root, 'snapshots')).filter((name) => /^\d+$/.test(name))

test('a snapshot shows its layers, the upper ones first, and keeps writes to itself', options, async () => {
  await using bed = new ImageBed()
  const bottom = await layer(bed, 'one', undefined, { a: '1', b: '1' })
  await layer(bed, 'two', 'one', { b: '2' })
  const mounts = await bed.snapshotter.prepare('key', 'two')
  {
    using view = openView(mounts)
    const root = `/proc/self/fd/${view.fd}`
    assert.deepEqual([readFileSync(`${root}/a`, 'utf8'), readFileSync(`${root}/b`, 'utf8')], ['1', '2'])
    writeFileSync(`${root}/a`, 'changed')
    unlinkSync(`${root}/b`)
  }
  assert.equal(readFileSync(join(bottom, 'a'), 'utf8'), '1')
  assert.deepEqual(bed.snapshotter.mounts('key'), mounts)
  const [upper] = bed.snapshotter.uppers('key')
  assert.equal(readFileSync(join(upper!.upper, 'a'), 'utf8'), 'changed')
  assert.deepEqual(await bed.snapshotter.usage('key'), { bytes: 7, inodes: 3 })
  using again = openView(bed.snapshotter.mounts('key'))
  assert.deepEqual(readdirSync(`/proc/self/fd/${again.fd}`), ['a'])
})

test('the root of a snapshot has owner and mode of the layer below, whatever the umask', options, async () => {
  await using bed = new ImageBed()
  const before = process.umask(0o077)
  try {
    const directory = await layer(bed, 'one', undefined, {})
    assert.equal(statSync(directory).mode & 0o7777, 0o755)
    chmodSync(directory, 0o1771)
    chownSync(directory, 5, 6)
    const [root] = await bed.snapshotter.prepare('key', 'one')
    const status = statSync(root!.upper!)
    assert.deepEqual([status.mode & 0o7777, status.uid, status.gid], [0o1771, 5, 6])
    const above = await layer(bed, 'two', 'one', {})
    assert.equal(statSync(above).mode & 0o7777, 0o1771)
  } finally {
    process.umask(before)
  }
})

test('a snapshot without layers is an empty root that can be written', options, async () => {
  await using bed = new ImageBed()
  using view = openView(await bed.snapshotter.prepare('key', undefined))
  writeFileSync(`/proc/self/fd/${view.fd}/a`, 'x')
  assert.deepEqual(readdirSync(`/proc/self/fd/${view.fd}`), ['a'])
  assert.deepEqual(readdirSync(join(bed.root, 'snapshots/empty')), [])
})

test('a view cannot be written', options, async () => {
  await using bed = new ImageBed()
  await layer(bed, 'one', undefined, { a: '1' })
  await bed.snapshotter.prepare('key', 'one')
  for (const mounts of [
    bed.snapshotter.view('one'),
    readOnly(bed.snapshotter.mounts('key')),
    [{ target: '/', lower: bed.snapshotter.uppers('key')[0]!.lower }],
  ]) {
    using view = openView(mounts)
    assert.equal(readFileSync(`/proc/self/fd/${view.fd}/a`, 'utf8'), '1')
    assert.throws(() => writeFileSync(`/proc/self/fd/${view.fd}/a`, 'x'), { code: 'EROFS' })
  }
})

for (const [name, open] of [
  ['descriptors alone', openDetached],
  [
    'a name for a moment',
    (mounts: Parameters<typeof openDetached>[0]) => openThroughName(mounts, '/run/drydock-test-views'),
  ],
] as const)
  test(`a view of several parts, made with ${name}, is not seen on the machine`, options, async () => {
    await using bed = new ImageBed()
    const machine = bed.place('machine')
    mkdirSync(join(machine, 'bin'))
    writeFileSync(join(machine, 'bin/tool'), 'tool')
    const staged = await bed.snapshotter.stage([{ target: '/usr', lower: [machine] }])
    mkdirSync(join(staged.directory, 'usr'))
    symlinkSync('usr/bin', join(staged.directory, 'bin'))
    await staged.commit('host', bottom)
    const above = await bed.snapshotter.stage()
    mkdirSync(join(above.directory, 'usr'))
    writeFileSync(join(above.directory, 'usr/added'), 'added')
    await above.commit('above', { parent: 'host', ownRoot: false })
    const mounts = await bed.snapshotter.prepare('key', 'above')
    assert.deepEqual(
      mounts.map(({ target }) => target),
      ['/', '/usr'],
    )
    const before = openDescriptors()
    {
      using view = open(mounts)
      const tool = view.open('/bin/tool', openFlags.O_RDONLY)
      assert.equal(readFileSync(tool, 'utf8'), 'tool')
      closeSync(tool)
      assert.equal(readFileSync(`/proc/self/fd/${view.fd}/usr/added`, 'utf8'), 'added')
      writeFileSync(`/proc/self/fd/${view.fd}/usr/bin/mine`, 'mine')
      assert.deepEqual(mountsWith(bed.root), [])
    }
    assert.equal(openDescriptors(), before)
    assert.deepEqual(readdirSync(join(machine, 'bin')), ['tool'])
    assert.equal(readFileSync(join(bed.snapshotter.uppers('key')[1]!.upper, 'bin/mine'), 'utf8'), 'mine')
    rmSync('/run/drydock-test-views', { recursive: true, force: true })
  })

test('a path in a view cannot leave it', options, async () => {
  await using bed = new ImageBed()
  const directory = await layer(bed, 'one', undefined, { passwd: 'inside' })
  mkdirSync(join(directory, 'etc'))
  symlinkSync('/../../../passwd', join(directory, 'etc/out'))
  symlinkSync('/proc/self/root', join(directory, 'magic'))
  using view = openView(bed.snapshotter.view('one'))
  const file = view.open('etc/out', openFlags.O_RDONLY)
  assert.equal(readFileSync(file, 'utf8'), 'inside')
  closeSync(file)
  assert.throws(() => view.open('magic/etc/passwd', openFlags.O_RDONLY), { code: 'ENOENT' })
})

test('missing and existing things are told apart', options, async () => {
  await using bed = new ImageBed()
  await assert.rejects(bed.snapshotter.prepare('key', 'nowhere'), kind('not-found'))
  const staged = await bed.snapshotter.stage()
  await assert.rejects(staged.commit('one', { parent: 'nowhere', ownRoot: false }), kind('not-found'))
  await staged.discard()
  assert.throws(() => bed.snapshotter.mounts('key'), kind('not-found'))
  assert.throws(() => bed.snapshotter.view('nowhere'), kind('not-found'))
  await bed.snapshotter.prepare('key', undefined)
  await assert.rejects(bed.snapshotter.prepare('key', undefined), kind('conflict'))
  await bed.snapshotter.remove('key')
  await bed.snapshotter.remove('key')
  assert.throws(() => bed.snapshotter.mounts('key'), kind('not-found'))
  await bed.snapshotter.settled()
  assert.deepEqual(numbers(bed), [])
  assert.deepEqual(readdirSync(join(bed.root, 'snapshots/trash')), [])
})

test('of two who unpack the same layer the first wins, and nothing of the second stays', options, async () => {
  await using bed = new ImageBed()
  const [first, second] = [await bed.snapshotter.stage(), await bed.snapshotter.stage()]
  writeFileSync(join(first.directory, 'a'), 'first')
  writeFileSync(join(second.directory, 'a'), 'second')
  await first.commit('one', bottom)
  await second.commit('one', bottom)
  await second.discard()
  await bed.snapshotter.settled()
  assert.equal(numbers(bed).length, 1)
  using view = openView(bed.snapshotter.view('one'))
  assert.equal(readFileSync(`/proc/self/fd/${view.fd}/a`, 'utf8'), 'first')
})

test('collect frees what nobody uses, and nothing that something stands on', options, async () => {
  await using bed = new ImageBed()
  await layer(bed, 'base', undefined, { a: 'base' })
  await layer(bed, 'left', 'base', { b: '12345' })
  await layer(bed, 'right', 'base', { c: '123' })
  await bed.snapshotter.prepare('key', 'right')
  const staged = await bed.snapshotter.stage()
  assert.equal(await bed.snapshotter.collect((chain) => chain === 'left'), 0)
  assert.equal(await bed.snapshotter.collect(() => false), 5)
  assert.deepEqual(
    ['base', 'left', 'right'].map((chain) => bed.snapshotter.has(chain)),
    [true, false, true],
  )
  await assert.rejects(staged.commit('above', { parent: 'left', ownRoot: true }), kind('not-found'))
  await staged.discard()
  await bed.snapshotter.remove('key')
  assert.equal(await bed.snapshotter.collect((chain) => chain === 'base'), 3)
  assert.equal(await bed.snapshotter.collect(() => false), 4)
  await bed.snapshotter.settled()
  assert.deepEqual(numbers(bed), [])
})

test('a tree that is deep, full and full of odd names is removed', options, async () => {
  await using bed = new ImageBed()
  const [root] = await bed.snapshotter.prepare('key', undefined)
  let at = root!.upper!
  for (let depth = 0; depth < 200; depth += 1) {
    at = join(at, 'd')
    mkdirSync(at)
    writeFileSync(Buffer.from(`${at}/caf\xe9`, 'latin1'), 'x')
  }
  symlinkSync(bed.place('outside'), join(root!.upper!, 'link'))
  writeFileSync(join(bed.root, 'outside/kept'), 'kept')
  const before = openDescriptors()
  await bed.snapshotter.remove('key')
  await bed.snapshotter.settled()
  assert.equal(openDescriptors(), before)
  assert.deepEqual(readdirSync(join(bed.root, 'snapshots/trash')), [])
  assert.ok(existsSync(join(bed.root, 'outside/kept')))
})

test('recovery throws away directories without a row, and rows without a directory', options, async () => {
  await using bed = new ImageBed()
  const kept = await layer(bed, 'kept', undefined, { a: '1' })
  const lost = await layer(bed, 'lost', undefined, { a: '1' })
  await bed.snapshotter.prepare('key', 'kept')
  await bed.snapshotter.stage()
  mkdirSync(join(bed.root, 'snapshots/77/fs'), { recursive: true })
  rmSync(join(lost, '..'), { recursive: true })
  const next = new OverlaySnapshotter(bed.database, bed.root)
  await next.recover()
  await next.settled()
  assert.equal(numbers(bed).length, 2)
  assert.deepEqual([next.has('kept'), next.has('lost')], [true, false])
  assert.equal(readFileSync(join(kept, 'a'), 'utf8'), '1')
  assert.equal(next.mounts('key').length, 1)
  const fresh = await next.stage()
  assert.equal(readdirSync(fresh.directory).length, 0)
  await fresh.discard()
  await next.settled()
})

test('a chain of 120 layers is mounted', options, async () => {
  await using bed = new ImageBed()
  for (let index = 0; index < 120; index += 1)
    await layer(bed, `chain ${index}`, index === 0 ? undefined : `chain ${index - 1}`, { [`file-${index}`]: 'x' })
  using view = openView(await bed.snapshotter.prepare('key', 'chain 119'))
  assert.equal(readdirSync(`/proc/self/fd/${view.fd}`).length, 120)
})
