/** docker cp: archives out of and into a root whose links are the container's. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { isKind } from '../../engine/base/errors.ts'
import { extractArchive, readArchive, statPath } from '../../engine/images/container-archive.ts'
import { openDirectory } from '../../engine/kernel/paths.ffi.ts'
import { openView } from '../../engine/snapshots/view.ts'
import { ImageBed, needsRoot, openDescriptors, type TarItem, tarOf } from './image-bed.ts'

const options = { skip: needsRoot }

/** A root with links that point out of it, as a hostile container would lay them. */
function rootOf(bed: ImageBed): string {
  const root = bed.place('root')
  mkdirSync(join(root, 'etc'))
  mkdirSync(join(root, 'data/sub'), { recursive: true })
  writeFileSync(join(root, 'etc/passwd'), 'of the container')
  writeFileSync(join(root, 'data/file'), 'contents', { mode: 0o640 })
  writeFileSync(join(root, 'data/sub/inner'), 'inner')
  symlinkSync('/etc/passwd', join(root, 'absolute'))
  symlinkSync('../../../../etc', join(root, 'climbing'))
  symlinkSync('data/sub', join(root, 'relative'))
  symlinkSync('nowhere', join(root, 'dangling'))
  symlinkSync('/proc/self/root', join(root, 'magic'))
  return root
}

const open = (path: string) => {
  const fd = openDirectory(path)
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}

const namesOf = async (root: string, path: string): Promise<string[]> => {
  const { archive } = readArchive(open(root), path, 'box')
  const tar = await buffer(archive)
  return execFileSync('tar', ['-tf', '-'], { input: tar }).toString().trim().split('\n')
}

const invalid = (words: RegExp) => (error: unknown) => isKind(error, 'invalid') && words.test(error.message)
const missing = (path: string) => (error: unknown) =>
  isKind(error, 'not-found') && error.message === `Could not find the file ${path} in container box`

test('the status of a path is as docker cp wants it', options, async () => {
  await using bed = new ImageBed()
  using root = open(rootOf(bed))
  const file = statPath(root.fd, '/data/file', 'box')
  assert.deepEqual({ ...file, mtime: '' }, { name: 'file', size: 8, mode: 0o640, mtime: '', linkTarget: '' })
  assert.equal(Date.parse(file.mtime), Math.floor(lstatSync(join(bed.root, 'root/data/file')).mtimeMs))
  assert.equal(statPath(root.fd, 'data', 'box').mode, 2 ** 31 + 0o755)
  assert.equal(statPath(root.fd, '/', 'box').name, '/')
  assert.equal(statPath(root.fd, '/../../data/sub/..', 'box').name, 'data')
})

test('a link is told, not followed, and its target is resolved inside the root', options, async () => {
  await using bed = new ImageBed()
  using root = open(rootOf(bed))
  const targets = ['absolute', 'climbing', 'relative', 'dangling'].map((name) => statPath(root.fd, `/${name}`, 'box'))
  assert.deepEqual(
    targets.map(({ linkTarget }) => linkTarget),
    ['/etc/passwd', '/etc', '/data/sub', '/nowhere'],
  )
  assert.deepEqual([...new Set(targets.map(({ mode }) => mode))], [2 ** 27 + 0o777])
  assert.equal(statPath(root.fd, '/relative/', 'box').mode, 2 ** 31 + 0o755)
  assert.equal(statPath(root.fd, '/climbing/passwd', 'box').size, 'of the container'.length)
})

test('what is not there is said in words of Docker', options, async () => {
  await using bed = new ImageBed()
  const path = rootOf(bed)
  using root = open(path)
  for (const name of ['/none', '/none/x', '/data/file/x', '/dangling/', '/magic/etc/passwd', '/magic/'])
    assert.throws(() => statPath(root.fd, name, 'box'), missing(name))
  const before = openDescriptors()
  assert.throws(() => readArchive(open(path), '/none', 'box'), missing('/none'))
  assert.equal(openDescriptors(), before)
})

test('the top entry of an archive has the name that was asked for', options, async () => {
  await using bed = new ImageBed()
  const root = rootOf(bed)
  assert.deepEqual(await namesOf(root, '/data'), ['data/', 'data/file', 'data/sub/', 'data/sub/inner'])
  assert.deepEqual(await namesOf(root, '/data/sub/'), ['sub/', 'sub/inner'])
  assert.deepEqual(await namesOf(root, '/data/.'), ['./', './file', './sub/', './sub/inner'])
  assert.deepEqual(await namesOf(root, '/data/file'), ['file'])
  assert.deepEqual(await namesOf(root, '/relative'), ['relative'])
  assert.deepEqual(await namesOf(root, '/relative/inner'), ['inner'])
  assert.ok((await namesOf(root, '/')).includes('/etc/passwd'))
})

test('an archive that is not read to its end leaves nothing open', options, async () => {
  await using bed = new ImageBed()
  const root = rootOf(bed)
  writeFileSync(join(root, 'data/big'), Buffer.alloc(5e6))
  const before = openDescriptors()
  const { archive } = readArchive(open(root), '/data', 'box')
  const closed = new Promise((resolve) => archive.once('close', resolve))
  for await (const _chunk of archive) break
  await closed
  assert.equal(openDescriptors(), before)
})

test('what comes out goes in again: owners, links, hard links', options, async () => {
  await using bed = new ImageBed()
  const root = rootOf(bed)
  execFileSync('chown', ['12:34', join(root, 'data/file')])
  execFileSync('ln', [join(root, 'data/file'), join(root, 'data/same')])
  symlinkSync('/anywhere', join(root, 'data/link'))
  const { archive } = readArchive(open(root), '/data', 'box')
  const bytes = gzipSync(await buffer(archive))
  using target = open(root)
  mkdirSync(join(root, 'copy'))
  await extractArchive(target.fd, '/copy', Readable.from([bytes]), 'box', { noOverwriteDirNonDir: true })
  assert.equal(
    execFileSync('diff', ['-r', '--no-dereference', join(root, 'data'), join(root, 'copy/data')]).toString(),
    '',
  )
  const status = lstatSync(join(root, 'copy/data/file'))
  assert.deepEqual([status.uid, status.gid, status.mode & 0o777, status.nlink], [12, 34, 0o640, 2])
  assert.equal(readlinkSync(join(root, 'copy/data/link')), '/anywhere')
  await extractArchive(target.fd, 'copy/', Readable.from([bytes]), 'box', {
    noOverwriteDirNonDir: true,
    owner: { uid: 5, gid: 6 },
  })
  assert.deepEqual([lstatSync(join(root, 'copy/data/link')).uid, lstatSync(join(root, 'copy/data/sub')).gid], [5, 6])
})

test('links in the destination and in the root are followed inside the root only', options, async () => {
  await using bed = new ImageBed()
  const path = rootOf(bed)
  using root = open(path)
  const into = async (place: string, name: string): Promise<void> =>
    await extractArchive(root.fd, place, Readable.from([await tarOf([{ name }, 'copied'])]), 'box', {
      noOverwriteDirNonDir: false,
    })
  await into('/climbing', 'drydock-one')
  await into('/', 'climbing/drydock-two')
  await into('/relative', 'drydock-three')
  assert.deepEqual(readdirSync(join(path, 'etc')).sort(), ['drydock-one', 'drydock-two', 'passwd'])
  assert.ok(existsSync(join(path, 'data/sub/drydock-three')))
  await assert.rejects(into('/magic', 'drydock-four'), missing('/magic'))
  await assert.rejects(into('/', 'magic/tmp/drydock-five'))
  for (const name of ['one', 'two', 'four', 'five'])
    assert.ok(!existsSync(`/etc/drydock-${name}`) && !existsSync(`/tmp/drydock-${name}`))
})

test('a link under the name of a file is replaced, not written through', options, async () => {
  await using bed = new ImageBed()
  const path = rootOf(bed)
  using root = open(path)
  const archive = await tarOf([{ name: 'absolute' }, 'new'])
  await extractArchive(root.fd, '/', Readable.from([archive]), 'box', { noOverwriteDirNonDir: false })
  assert.equal(readFileSync(join(path, 'absolute'), 'utf8'), 'new')
  assert.equal(readFileSync(join(path, 'etc/passwd'), 'utf8'), 'of the container')
})

test('the place to extract to must be a directory', options, async () => {
  await using bed = new ImageBed()
  using root = open(rootOf(bed))
  const archive = await tarOf([{ name: 'x' }])
  const into = (path: string) =>
    extractArchive(root.fd, path, Readable.from([archive]), 'box', { noOverwriteDirNonDir: false })
  await assert.rejects(into('/data/file'), invalid(/^extraction point is not a directory$/))
  await assert.rejects(into('/none'), missing('/none'))
})

test('kinds are kept where that was asked for', options, async () => {
  await using bed = new ImageBed()
  const path = rootOf(bed)
  using root = open(path)
  const put = async (item: TarItem, keep: boolean): Promise<void> =>
    await extractArchive(root.fd, '/', Readable.from([await tarOf(item)]), 'box', { noOverwriteDirNonDir: keep })
  await assert.rejects(
    put([{ name: 'data' }, 'x'], true),
    invalid(/^cannot overwrite directory "data" with non-directory "data"$/),
  )
  await assert.rejects(
    put([{ name: 'data/file/', type: 'directory' }], true),
    invalid(/^cannot overwrite non-directory "data\/file" with directory "data\/file"$/),
  )
  assert.ok(existsSync(join(path, 'data/sub/inner')))
  await put([{ name: 'data' }, 'x'], false)
  assert.equal(readFileSync(join(path, 'data'), 'utf8'), 'x')
})

test('names that climb out of the destination are refused', options, async () => {
  await using bed = new ImageBed()
  const path = rootOf(bed)
  using root = open(path)
  for (const name of ['../etc/passwd', '/../etc/passwd'])
    await assert.rejects(
      extractArchive(root.fd, '/data', Readable.from([await tarOf([{ name }, 'x'])]), 'box', {
        noOverwriteDirNonDir: false,
      }),
      invalid(/leaves the layer/),
    )
  assert.equal(readFileSync(join(path, 'etc/passwd'), 'utf8'), 'of the container')
})

test('a read-only root is said in words of Docker', options, async () => {
  await using bed = new ImageBed()
  const staged = await bed.snapshotter.stage()
  await staged.commit('one', { parent: undefined, ownRoot: false })
  using view = openView(bed.snapshotter.view('one'))
  await assert.rejects(
    extractArchive(view.fd, '/', Readable.from([await tarOf([{ name: 'x' }])]), 'box', { noOverwriteDirNonDir: false }),
    invalid(/^mounted volume is marked read-only$/),
  )
})

test('whiteout names are plain files here', options, async () => {
  await using bed = new ImageBed()
  const path = rootOf(bed)
  using root = open(path)
  await extractArchive(root.fd, '/', Readable.from([await tarOf([{ name: '.wh.data' }, 'x'])]), 'box', {
    noOverwriteDirNonDir: false,
  })
  assert.equal(readFileSync(join(path, '.wh.data'), 'utf8'), 'x')
})

test('a damaged archive is invalid', options, async () => {
  await using bed = new ImageBed()
  using root = open(rootOf(bed))
  const archive = await tarOf([{ name: 'x' }, 'y'.repeat(2000)])
  for (const bytes of [archive.subarray(0, 1500), Buffer.alloc(2048, 1), gzipSync(archive).subarray(0, 60)])
    await assert.rejects(
      extractArchive(root.fd, '/', Readable.from([bytes]), 'box', { noOverwriteDirNonDir: false }),
      (error: unknown) => isKind(error, 'invalid'),
    )
})
