/** Images in and out of the store as archives, and layers made of what a container wrote. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { isKind } from '../../engine/base/errors.ts'
import { commitImage } from '../../engine/images/commit.ts'
import { exportArchive } from '../../engine/images/container-archive.ts'
import type { Image, ProgressMessage } from '../../engine/images/image.ts'
import { importImage } from '../../engine/images/import.ts'
import { layerChanges } from '../../engine/images/layer-changes.ts'
import { loadImages } from '../../engine/images/load.ts'
import { saveImages } from '../../engine/images/save.ts'
import { attributeAt, openDirectory } from '../../engine/kernel/paths.ffi.ts'
import { openView } from '../../engine/snapshots/view.ts'
import { ImageBed, needsRoot, openDescriptors, type TarItem, tarOf } from './image-bed.ts'

const options = { skip: needsRoot }
const invalid = (words: RegExp) => (error: unknown) => isKind(error, 'invalid') && words.test(error.message)
const digestOf = (bytes: Buffer | string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

const base: readonly TarItem[] = [
  [{ name: 'etc/', type: 'directory' }],
  [{ name: 'etc/passwd' }, 'root'],
  [{ name: 'etc/group' }, 'root'],
  [{ name: 'dir/', type: 'directory' }],
  [{ name: 'dir/file' }, 'file'],
  [{ name: 'dir/sub/', type: 'directory' }],
  [{ name: 'gone' }, 'gone'],
]

const importBase = async (bed: ImageBed, reference = 'base:1'): Promise<Image> =>
  await importImage(bed.depot, bed.transfers, Readable.from([await tarOf(...base)]), { reference, changes: [] })

const load = async (
  bed: ImageBed,
  archive: Buffer,
  messages: ProgressMessage[] = [],
  quiet = true,
): Promise<string[]> =>
  await loadImages(bed.depot, bed.transfers, Readable.from([archive]), {
    quiet,
    progress: (message) => messages.push(message),
  })

/** Writes as a container would. */
function write(bed: ImageBed, key: string, work: (root: string) => void): void {
  using view = openView(bed.snapshotter.mounts(key))
  work(`/proc/self/fd/${view.fd}`)
}

const treeOf = (bed: ImageBed, image: Image): string[] => {
  using view = openView(bed.snapshotter.view(image.chainId!))
  return execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P %y %m %s\n'], {
    cwd: `/proc/${process.pid}/fd/${view.fd}`,
  })
    .toString()
    .trim()
    .split('\n')
    .sort()
}

for (const [name, compress] of [
  ['plain', (bytes: Buffer) => bytes],
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
] as const)
  test(`import (${name}) makes an image of one layer`, options, async () => {
    await using bed = new ImageBed()
    const archive = await tarOf(...base)
    const image = await importImage(bed.depot, bed.transfers, Readable.from([compress(archive)]), {
      reference: 'imported:v1',
      message: 'from a test',
      changes: ['CMD ["/bin/sh", "-c"]', 'ENV A=b'],
      platform: 'linux/arm64',
    })
    assert.deepEqual(image.tags, ['imported:v1'])
    assert.deepEqual(image.config.rootfs.diff_ids, [digestOf(archive)])
    assert.deepEqual(image.config.config, { Cmd: ['/bin/sh', '-c'], Env: ['A=b'] })
    assert.equal(image.config.architecture, 'arm64')
    assert.equal(image.config.history?.[0]?.comment, 'from a test')
    assert.ok(treeOf(bed, image).includes('etc/passwd f 644 4'))
    assert.deepEqual(bed.events, [['import', image.id]])
  })

test('an import that fails leaves no image and no layer', options, async () => {
  await using bed = new ImageBed()
  const run = (archive: Buffer, changes: string[] = [], reference = 'a:1') =>
    importImage(bed.depot, bed.transfers, Readable.from([archive]), { reference, changes })
  await assert.rejects(run(Buffer.alloc(4096, 1)), invalid(/not a valid tar/))
  await assert.rejects(run((await tarOf(...base)).subarray(0, 700)), invalid(/ends in the middle/))
  await assert.rejects(run(Buffer.from('BZh91AY&SY')), invalid(/compressed with bzip2/))
  await assert.rejects(run(await tarOf(...base), ['RUN rm -rf /']), invalid(/^RUN is not a valid change command$/))
  await assert.rejects(run(await tarOf(...base), [], 'UPPER'), invalid(/must be lowercase/))
  assert.deepEqual(bed.depot.records.list(), [])
  assert.equal(await bed.snapshotter.collect(() => false), 0)
})

test('diff lists what was added, changed and deleted, as docker diff', options, async () => {
  await using bed = new ImageBed()
  await bed.snapshotter.prepare('key', (await importBase(bed)).chainId)
  write(bed, 'key', (root) => {
    writeFileSync(`${root}/etc/passwd`, 'changed')
    mkdirSync(`${root}/dir/sub/new`)
    writeFileSync(`${root}/dir/sub/new/file`, 'x')
    unlinkSync(`${root}/gone`)
    rmSync(`${root}/dir/file`)
    symlinkSync('x', `${root}/dir/file`)
  })
  assert.deepEqual(
    layerChanges(bed.snapshotter.uppers('key')).map(({ kind, path }) => `${kind} ${path}`),
    [
      'modified /dir',
      'modified /dir/file',
      'modified /dir/sub',
      'added /dir/sub/new',
      'added /dir/sub/new/file',
      'modified /etc/passwd',
      'deleted /gone',
    ],
  )
})

test('what the engine makes in every container is no change', options, async () => {
  await using bed = new ImageBed()
  await bed.snapshotter.prepare('key', (await importBase(bed)).chainId)
  write(bed, 'key', (root) => {
    for (const name of ['proc', 'sys', 'dev', 'dev/pts', 'dev/shm']) mkdirSync(`${root}/${name}`)
    for (const name of ['.dockerenv', 'etc/hosts', 'etc/hostname', 'etc/resolv.conf', 'dev/console'])
      writeFileSync(`${root}/${name}`, '')
    symlinkSync('/proc/mounts', `${root}/etc/mtab`)
  })
  assert.deepEqual(layerChanges(bed.snapshotter.uppers('key')), [])
})

test('commit makes a layer that shows the same tree', options, async () => {
  await using bed = new ImageBed()
  const image = await importBase(bed)
  await bed.snapshotter.prepare('key', image.chainId)
  write(bed, 'key', (root) => {
    writeFileSync(`${root}/etc/passwd`, 'changed')
    unlinkSync(`${root}/gone`)
    rmSync(`${root}/dir`, { recursive: true })
    mkdirSync(`${root}/dir`)
    writeFileSync(`${root}/dir/other`, 'x')
    writeFileSync(`${root}/set-id`, 'x')
    chmodSync(`${root}/set-id`, 0o4755)
    writeFileSync(`${root}/.dockerenv`, '')
    execFileSync('mkfifo', ['fifo'], { cwd: root.replace('self', String(process.pid)) })
  })
  await bed.endThreads()
  const before = openDescriptors()
  const committed = await commitImage(bed.depot, bed.transfers, {
    snapshotKey: 'key',
    base: image,
    config: { Cmd: ['run', 'it'] },
    reference: 'base:2',
    author: 'me',
    comment: 'why',
  })
  await bed.endThreads()
  assert.equal(openDescriptors(), before)
  const expected = [
    'dir d 755 4096',
    'dir/other f 644 1',
    'etc d 755 4096',
    'etc/group f 644 4',
    'etc/passwd f 644 7',
    'fifo p 644 0',
    'set-id f 4755 1',
  ]
  assert.deepEqual(
    treeOf(bed, committed).map((line) => line.replace(/(^\S+ d 755) \d+$/, '$1 4096')),
    expected,
  )
  assert.deepEqual(committed.tags, ['base:2'])
  assert.equal(committed.config.rootfs.diff_ids.length, 2)
  assert.deepEqual(
    { ...committed.config.history?.[1], created: '' },
    { created: '', author: 'me', created_by: 'run it', comment: 'why' },
  )
  assert.deepEqual(bed.depot.records.get('base:1').id, image.id)
})

test('what was saved is loaded again, the same images under the same names', options, async () => {
  await using from = new ImageBed()
  await using to = new ImageBed()
  const first = await importBase(from)
  await from.snapshotter.prepare('key', first.chainId)
  write(from, 'key', (root) => writeFileSync(`${root}/added`, 'x'))
  const second = await commitImage(from.depot, from.transfers, {
    snapshotKey: 'key',
    base: first,
    config: {},
    reference: 'base:2',
  })
  const archive = await buffer(await saveImages(from.depot, ['base']))
  const messages: ProgressMessage[] = []
  assert.deepEqual((await load(to, archive, messages, false)).sort(), ['base:1', 'base:2'])
  for (const image of [first, second]) {
    const loaded = to.depot.records.get(image.id)
    assert.deepEqual([loaded.tags, loaded.chainId, loaded.config], [image.tags, image.chainId, image.config])
    assert.deepEqual(treeOf(to, loaded), treeOf(from, image))
  }
  assert.ok(messages.some(({ stream }) => stream === 'Loaded image: base:2\n'))
  assert.ok(messages.some(({ status }) => status === 'Loading layer'))
  assert.deepEqual(
    to.events.map(([action]) => action),
    ['load', 'load'],
  )
})

test('the saved archive is an OCI layout whose every blob is what its name says', options, async () => {
  await using from = new ImageBed()
  await using to = new ImageBed()
  const image = await importBase(from)
  const archive = await buffer(await saveImages(from.depot, [image.id, 'base:1']))
  const place = from.place('layout')
  execFileSync('tar', ['-xf', '-', '-C', place], { input: archive })
  for (const name of readdirSync(join(place, 'blobs/sha256')))
    assert.equal(digestOf(readFileSync(join(place, 'blobs/sha256', name))), `sha256:${name}`)
  const index = JSON.parse(readFileSync(join(place, 'index.json'), 'utf8'))
  assert.equal(index.manifests.length, 1)
  assert.equal(index.manifests[0].digest, image.manifestDigest)
  rmSync(join(place, 'manifest.json'))
  const layout = execFileSync('tar', ['-C', place, '-czf', '-', '.'], { maxBuffer: 1 << 24 })
  assert.deepEqual(await load(to, layout), ['base:1'])
  assert.equal(to.depot.records.get('base:1').id, image.id)
})

test('an image saved by its id is loaded without a name', options, async () => {
  await using from = new ImageBed()
  await using to = new ImageBed()
  const image = await importBase(from)
  assert.deepEqual(await load(to, zstdCompressSync(await buffer(await saveImages(from.depot, [image.id])))), [image.id])
  assert.deepEqual(to.depot.records.get(image.id).tags, [])
  await assert.rejects(saveImages(from.depot, ['nothing:1']), (error: unknown) => isKind(error, 'not-found'))
})

/** The old form of docker save: a directory per layer, links for what is there twice. */
async function oldForm(
  change: (parts: { config: Record<string, unknown>; list: unknown[]; layer: Buffer }) => void = () => {},
): Promise<Buffer> {
  const layer = await tarOf(...base)
  const config: Record<string, unknown> = {
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
  }
  const list: unknown[] = [{ Config: 'config.json', RepoTags: ['old:form'], Layers: ['b/layer.tar'] }]
  const parts = { config, list, layer }
  change(parts)
  return await tarOf(
    [{ name: 'a/', type: 'directory' }],
    [{ name: 'a/layer.tar' }, parts.layer.toString('latin1')],
    [{ name: 'b/layer.tar', type: 'symlink', linkname: '../a/layer.tar' }],
    [{ name: 'config.json' }, JSON.stringify(parts.config)],
    [{ name: 'manifest.json' }, JSON.stringify(parts.list)],
  )
}

test('the old form with a directory per layer and links is loaded', options, async () => {
  await using bed = new ImageBed()
  assert.deepEqual(await load(bed, await oldForm()), ['old:form'])
})

type Change = Parameters<typeof oldForm>[0]
const broken: readonly [what: string, words: RegExp, change: Change][] = [
  [
    'a layer that is not the one of the configuration',
    /but the image's configuration says/,
    ({ config }) => Object.assign(config, { rootfs: { type: 'layers', diff_ids: [digestOf('else')] } }),
  ],
  [
    'more layers than files',
    /has 2 layers, but its list names 1/,
    ({ config }) => Object.assign(config, { rootfs: { type: 'layers', diff_ids: [digestOf('a'), digestOf('b')] } }),
  ],
  [
    'a layer that is missing',
    /incomplete: it has no file "c\/layer.tar"/,
    ({ list }) => Object.assign(list[0] as object, { Layers: ['c/layer.tar'] }),
  ],
  [
    'a layer outside of the archive',
    /incomplete: it has no file "\/etc\/passwd"/,
    ({ list }) => Object.assign(list[0] as object, { Layers: ['/etc/passwd'] }),
  ],
  [
    'a configuration outside of the archive',
    /incomplete: it has no file/,
    ({ list }) => Object.assign(list[0] as object, { Config: '../../etc/passwd' }),
  ],
  ['a list that is none', /manifest\.json of the archive is malformed/, ({ list }) => list.splice(0, 1, 'text')],
  [
    'a name that is none',
    /reference format/,
    ({ list }) => Object.assign(list[0] as object, { RepoTags: ['NOT A NAME'] }),
  ],
]

for (const [what, words, change] of broken)
  test(`load refuses ${what}`, options, async () => {
    await using bed = new ImageBed()
    await assert.rejects(load(bed, await oldForm(change)), invalid(words))
    assert.deepEqual(bed.depot.records.list(), [])
    assert.equal(bed.depot.leases.holds('blob', digestOf(await tarOf(...base))), false)
  })

const noImage: readonly [what: string, words: RegExp, archive: () => Promise<Buffer>][] = [
  ['an archive without an image', /neither manifest\.json/, () => tarOf([{ name: 'x' }, 'x'])],
  ['noise', /not a valid tar/, async () => Buffer.alloc(4096, 7)],
  ['an archive cut off', /not a valid tar|incomplete/, async () => (await oldForm()).subarray(0, 3000)],
  ['a damaged gzip', /gzip data is damaged/, async () => gzipSync(await oldForm()).subarray(0, 300)],
  ['a name that climbs out', /leaves the layer/, () => tarOf([{ name: '../../manifest.json' }, '[]'])],
  [
    'links in a ring',
    /incomplete|neither/,
    () => tarOf([{ name: 'manifest.json', type: 'symlink', linkname: 'manifest.json' }]),
  ],
  [
    'a layout with a blob that is another',
    /has digest/,
    () =>
      tarOf(
        [
          { name: 'index.json' },
          JSON.stringify({
            schemaVersion: 2,
            manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digestOf('a'), size: 1 }],
          }),
        ],
        [{ name: `blobs/sha256/${digestOf('a').slice(7)}` }, 'b'],
      ),
  ],
]

for (const [what, words, archive] of noImage)
  test(`load refuses ${what}`, options, async () => {
    await using bed = new ImageBed()
    const before = openDescriptors()
    await assert.rejects(load(bed, await archive()), invalid(words))
    await bed.endThreads()
    assert.equal(openDescriptors(), before)
    assert.deepEqual(bed.depot.records.list(), [])
  })

test('export gives the whole root', options, async () => {
  await using bed = new ImageBed()
  const image = await importBase(bed)
  const archive = await buffer(exportArchive(openView(bed.snapshotter.view(image.chainId!))))
  const names = execFileSync('tar', ['-tf', '-'], { input: archive }).toString().trim().split('\n')
  assert.deepEqual(names.sort(), ['dir/', 'dir/file', 'dir/sub/', 'etc/', 'etc/group', 'etc/passwd', 'gone'])
})

test('a committed opaque directory stays opaque', options, async () => {
  await using bed = new ImageBed()
  const image = await importBase(bed)
  await bed.snapshotter.prepare('key', image.chainId)
  write(bed, 'key', (root) => {
    rmSync(`${root}/dir`, { recursive: true })
    mkdirSync(`${root}/dir`)
  })
  const committed = await commitImage(bed.depot, bed.transfers, { snapshotKey: 'key', base: image, config: {} })
  using stack = new DisposableStack()
  const top = stack.adopt(openDirectory(bed.snapshotter.view(committed.chainId!)[0]!.lower[0]!), closeSync)
  assert.equal(attributeAt(top, 'dir', 'trusted.overlay.opaque')?.toString(), 'y')
})
