import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { isKind } from '../../engine/base/errors.ts'
import { isNoSpace } from '../../engine/base/no-space.ts'
import { plainEntry, tarEnd, tarHeader } from '../../engine/images/tar-writer.ts'
import { unpackLayer } from '../../engine/images/unpack.ts'
import { attributeAt, openDirectory, setAttributeAt } from '../../engine/kernel/paths.ffi.ts'
import { ImageBed, needsRoot, openDescriptors, type TarItem, tarOf } from './image-bed.ts'

const options = { skip: needsRoot }
const invalid = (words: RegExp) => (error: unknown) => isKind(error, 'invalid') && words.test(error.message)

/** Attributes are read by path: the directory is the test's own. */
const attribute = (directory: string, name: string, key: string): string | undefined => {
  using stack = new DisposableStack()
  const fd = stack.adopt(openDirectory(directory), closeSync)
  return attributeAt(fd, name, key)?.toString('hex')
}

const isWhiteout = (path: string): boolean => {
  const status = lstatSync(path)
  return status.isCharacterDevice() && status.rdev === 0
}

/** A tree with one of everything, archived by GNU tar. */
function archiveByTar(bed: ImageBed, format: string): Buffer {
  const source = bed.place(`source-${format}`)
  const deep = join(source, 'd'.repeat(60), 'e'.repeat(60))
  mkdirSync(deep, { recursive: true })
  writeFileSync(join(deep, 'a long name'), 'deep')
  writeFileSync(join(source, 'set-id'), '#!/bin/true')
  chmodSync(join(source, 'set-id'), 0o6755)
  writeFileSync(join(source, 'größe'), Buffer.alloc(100_000, 7))
  linkSync(join(source, 'größe'), join(source, 'second name'))
  symlinkSync('/etc/passwd', join(source, 'link'))
  execFileSync('mkfifo', ['-m', '640', join(source, 'fifo')])
  execFileSync('mknod', ['-m', '620', join(source, 'null'), 'c', '1', '3'])
  execFileSync('chown', ['-h', '1234:4321', join(source, 'link'), join(source, 'set-id')])
  chmodSync(join(source, 'set-id'), 0o6755)
  utimesSync(join(source, 'set-id'), 1_234_567_890.25, 1_234_567_890.25)
  utimesSync(join(source, 'd'.repeat(60)), 1_000_000_000, 1_000_000_000)
  return execFileSync('tar', ['-C', source, `--format=${format}`, '-cf', '-', '.'], { maxBuffer: 1 << 24 })
}

for (const format of ['pax', 'gnu'])
  test(`an archive of GNU tar (${format}) comes out as it went in`, options, async () => {
    await using bed = new ImageBed()
    const archive = archiveByTar(bed, format)
    const before = openDescriptors()
    const { path, diffId, bytes } = await bed.unpack(archive)
    await bed.endThreads()
    assert.equal(openDescriptors(), before)
    assert.equal(diffId, `sha256:${createHash('sha256').update(archive).digest('hex')}`)
    assert.equal(bytes, archive.length)
    const differences = execFileSync('tar', ['-C', path, '-df', '-'], { input: archive }).toString()
    assert.equal(differences, '')
    const setId = lstatSync(join(path, 'set-id'), { bigint: true })
    assert.deepEqual([setId.mode & 0o7777n, setId.uid, setId.gid], [0o6755n, 1234n, 4321n])
    assert.equal(setId.mtimeNs, format === 'pax' ? 1_234_567_890_250_000_000n : 1_234_567_890_000_000_000n)
    assert.equal(lstatSync(join(path, 'd'.repeat(60))).mtimeMs, 1e12)
    assert.equal(lstatSync(join(path, 'second name')).ino, lstatSync(join(path, 'größe')).ino)
    assert.equal(lstatSync(join(path, 'link')).uid, 1234)
    assert.equal(readlinkSync(join(path, 'link')), '/etc/passwd')
    assert.equal(lstatSync(join(path, 'null')).rdev, 0x103)
    assert.equal(lstatSync(join(path, 'fifo')).mode & 0o777, 0o640)
  })

for (const [name, compress] of [
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
] as const)
  test(`${name} is told by its first bytes; the diff id is of the tar`, options, async () => {
    await using bed = new ImageBed()
    const archive = await tarOf([{ name: 'file' }, 'contents'])
    const { path, diffId } = await bed.unpack(compress(archive))
    assert.equal(diffId, `sha256:${createHash('sha256').update(archive).digest('hex')}`)
    assert.equal(readFileSync(join(path, 'file'), 'utf8'), 'contents')
  })

test('attributes keep every byte', options, async () => {
  await using bed = new ImageBed()
  // CAP_SETUID is bit 7: a byte that is no UTF-8 by itself, as in the newuidmap of many images.
  const capability = Buffer.from('0100000280000000000000000000000000000000', 'hex')
  const attributes = new Map([
    ['security.capability', capability],
    ['user.bytes', Buffer.from([0, 10, 61, 255])],
  ])
  const { path } = await bed.unpack(
    Buffer.concat([
      tarHeader({ ...plainEntry('program', 'file', 0o755), attributes }),
      tarHeader({
        ...plainEntry('directory', 'directory', 0o755),
        attributes: new Map([['user.d', Buffer.from('x')]]),
      }),
      tarEnd,
    ]),
  )
  assert.equal(attribute(path, 'program', 'security.capability'), capability.toString('hex'))
  assert.equal(attribute(path, 'program', 'user.bytes'), '000a3dff')
  assert.equal(attribute(path, 'directory', 'user.d'), '78')
})

test("overlay's own attributes are not taken from an archive", options, async () => {
  await using bed = new ImageBed()
  const attributes = new Map([['trusted.overlay.redirect', Buffer.from('/etc')]])
  const { path } = await bed.unpack(
    Buffer.concat([tarHeader({ ...plainEntry('directory', 'directory', 0o755), attributes }), tarEnd]),
  )
  assert.equal(attribute(path, 'directory', 'trusted.overlay.redirect'), undefined)
})

test('a name that is no UTF-8 keeps its bytes', options, async () => {
  await using bed = new ImageBed()
  const { path } = await bed.unpack(Buffer.concat([tarHeader(plainEntry('caf\xe9', 'file', 0o644)), tarEnd]))
  assert.deepEqual(readdirSync(path, 'latin1'), ['caf\xe9'])
})

test('whiteouts take the form of overlayfs', options, async () => {
  await using bed = new ImageBed()
  const { path } = await bed.unpack(
    await tarOf(
      [{ name: 'etc/', type: 'directory' }],
      [{ name: 'etc/.wh.passwd' }],
      [{ name: 'var/.wh..wh..opq' }],
      [{ name: '.wh..wh.plnk' }],
    ),
  )
  assert.ok(isWhiteout(join(path, 'etc/passwd')))
  assert.equal(attribute(path, 'var', 'trusted.overlay.opaque'), Buffer.from('y').toString('hex'))
  assert.deepEqual(readdirSync(path).sort(), ['etc', 'var'])
})

test('a whiteout hides only what is below its own layer, in either order', options, async () => {
  await using bed = new ImageBed()
  const { path } = await bed.unpack(
    await tarOf(
      [{ name: 'first', mode: 0o644 }, 'kept'],
      [{ name: '.wh.first' }],
      [{ name: '.wh.second' }],
      [{ name: 'second/', type: 'directory' }],
      [{ name: 'second/file' }, 'kept'],
    ),
  )
  assert.equal(readFileSync(join(path, 'first'), 'utf8'), 'kept')
  assert.equal(readFileSync(join(path, 'second/file'), 'utf8'), 'kept')
  assert.equal(attribute(path, 'second', 'trusted.overlay.opaque'), '79')
})

test('what comes twice is there as it came last', options, async () => {
  await using bed = new ImageBed()
  const { path } = await bed.unpack(
    await tarOf(
      [{ name: 'a/', type: 'directory' }],
      [{ name: 'a/b/c' }, 'deep'],
      [{ name: 'a', type: 'symlink', linkname: 'elsewhere' }],
      [{ name: 'file' }, 'old'],
      [{ name: 'file' }, 'new'],
      [{ name: 'was-link', type: 'symlink', linkname: '/etc' }],
      [{ name: 'was-link/', type: 'directory', mode: 0o711 }],
      [{ name: 'was-link/inside' }, 'inside'],
    ),
  )
  assert.equal(readlinkSync(join(path, 'a')), 'elsewhere')
  assert.equal(readFileSync(join(path, 'file'), 'utf8'), 'new')
  assert.equal(lstatSync(join(path, 'was-link')).mode & 0o777, 0o711)
  assert.equal(readFileSync(join(path, 'was-link/inside'), 'utf8'), 'inside')
  assert.equal(existsSync('/etc/inside'), false)
})

test('a relative link that stays inside may stand for a directory', options, async () => {
  await using bed = new ImageBed()
  const { path } = await bed.unpack(
    await tarOf(
      [{ name: 'usr/lib/', type: 'directory' }],
      [{ name: 'lib', type: 'symlink', linkname: 'usr/lib' }],
      [{ name: 'lib/libc.so' }, 'elf'],
    ),
  )
  assert.equal(readFileSync(join(path, 'usr/lib/libc.so'), 'utf8'), 'elf')
})

test('the root of the layer takes mode, owner and time of the entry "./"', options, async () => {
  await using bed = new ImageBed()
  const { path } = await bed.unpack(
    await tarOf([{ name: './', type: 'directory', mode: 0o750, uid: 7, gid: 8 }], [{ name: 'x' }]),
  )
  const status = lstatSync(path)
  assert.deepEqual([status.mode & 0o7777, status.uid, status.gid, status.mtimeMs], [0o750, 7, 8, 1e12])
})

const hostile: readonly [what: string, words: RegExp, entries: readonly TarItem[]][] = [
  ['a name that climbs out', /^archive entry leaves the layer: "\.\.\/pwned"$/, [[{ name: '../pwned' }, 'x']]],
  [
    'a name that climbs out further down',
    /leaves the layer: "a\/\.\.\/\.\.\/pwned"/,
    [[{ name: 'a/../../pwned' }, 'x']],
  ],
  ['an absolute name that climbs out', /leaves the layer: "\/\.\.\/pwned"/, [[{ name: '/../pwned' }, 'x']]],
  [
    'a file through an absolute link',
    /leaves the layer: "out"/,
    [[{ name: 'out', type: 'symlink', linkname: '/tmp' }], [{ name: 'out/drydock-pwned' }, 'x']],
  ],
  [
    'a file through a link that climbs',
    /leaves the layer: "out"/,
    [[{ name: 'out', type: 'symlink', linkname: '../../..' }], [{ name: 'out/drydock-pwned' }, 'x']],
  ],
  [
    'a directory below a link to itself',
    /leaves the layer/,
    [[{ name: 'loop', type: 'symlink', linkname: 'loop' }], [{ name: 'loop/x' }, 'x']],
  ],
  [
    'a whiteout through a link',
    /leaves the layer/,
    [[{ name: 'out', type: 'symlink', linkname: '/etc' }], [{ name: 'out/.wh.passwd' }]],
  ],
  [
    'an opaque mark through a link',
    /leaves the layer/,
    [[{ name: 'out', type: 'symlink', linkname: '/etc' }], [{ name: 'out/.wh..wh..opq' }]],
  ],
  ['a whiteout of the parent', /leaves the layer/, [[{ name: 'a/.wh...' }]]],
  [
    'a hard link to outside',
    /leaves the layer: "\.\.\/\.\.\/etc\/passwd"/,
    [[{ name: 'a', type: 'link', linkname: '../../etc/passwd' }]],
  ],
  [
    'a hard link to an absolute name that only the machine has',
    /there is no directory "etc"/,
    [[{ name: 'a', type: 'link', linkname: '/etc/passwd' }]],
  ],
  [
    'a hard link through a link',
    /leaves the layer/,
    [[{ name: 'out', type: 'symlink', linkname: '/etc' }], [{ name: 'a', type: 'link', linkname: 'out/passwd' }]],
  ],
  [
    'a hard link to nothing',
    /which the archive does not have before it/,
    [[{ name: 'a', type: 'link', linkname: 'b' }]],
  ],
  [
    'a hard link to a directory',
    /cannot write archive entry "a"/,
    [[{ name: 'd/', type: 'directory' }], [{ name: 'a', type: 'link', linkname: 'd' }]],
  ],
  [
    'a hard link that would remove its target',
    /is a hard link to the directory/,
    [[{ name: 'd/f' }, 'x'], [{ name: 'd', type: 'link', linkname: 'd/f' }]],
  ],
  [
    'a file below a file',
    /not a directory/,
    [
      [{ name: 'a' }, 'x'],
      [{ name: 'a/b' }, 'x'],
    ],
  ],
  ['a root that is a link', /would replace the root/, [[{ name: './', type: 'symlink', linkname: '/etc' }]]],
  ['a link to nothing', /without a valid target/, [[{ name: 'a', type: 'symlink', linkname: '' }]]],
  ['a name of 300 bytes', /cannot write archive entry/, [[{ name: 'n'.repeat(300) }, 'x']]],
  ['a path of 5,000 bytes', /impossible name/, [[{ name: 'n/'.repeat(2500) }, 'x']]],
]

for (const [what, words, entries] of hostile)
  test(`refused: ${what}`, options, async () => {
    await using bed = new ImageBed()
    const archive = await tarOf(...entries)
    const before = openDescriptors()
    await assert.rejects(bed.unpack(archive), invalid(words))
    await bed.endThreads()
    await bed.snapshotter.settled()
    assert.equal(openDescriptors(), before)
    for (const place of [
      '/drydock-pwned',
      '/tmp/drydock-pwned',
      join(bed.root, 'pwned'),
      join(bed.root, 'snapshots/pwned'),
    ])
      assert.equal(existsSync(place), false)
    await bed.snapshotter.settled()
    assert.deepEqual(
      readdirSync(join(bed.root, 'snapshots')).filter((name) => /^\d+$/.test(name)),
      [],
    )
  })

test('more bytes than allowed are refused, however small they were packed', options, async () => {
  await using bed = new ImageBed()
  const bomb = gzipSync(
    Buffer.concat([tarHeader({ ...plainEntry('zeros', 'file', 0o644), size: 50e6 }), Buffer.alloc(50e6)]),
  )
  await assert.rejects(bed.unpack(bomb, { maxBytes: 10e6 }), invalid(/^the layer unpacks to more than 10000000 bytes$/))
})

test('more entries than allowed are refused', options, async () => {
  await using bed = new ImageBed()
  const archive = await tarOf([{ name: 'a' }], [{ name: 'b' }], [{ name: 'c' }])
  await assert.rejects(bed.unpack(archive, { maxEntries: 2 }), invalid(/more than 2 entries/))
})

test('a full disk is said in a sentence', options, async () => {
  await using bed = new ImageBed()
  const place = bed.place('small')
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'small', place])
  try {
    const archive = await tarOf([{ name: 'big' }, 'x'.repeat(1e6)])
    const path = join(bed.root, 'archive')
    writeFileSync(path, archive)
    await assert.rejects(
      bed.transfers.unpackers.unpack({ path, size: archive.length }, place, { maxBytes: 1e9, maxEntries: 10 }),
      (error: unknown) =>
        isKind(error, 'unavailable') &&
        /^no space left on the disk while writing "big"$/.test(error.message) &&
        // What makes room is told by the cause, on the other side of the thread as well.
        isNoSpace(error),
    )
  } finally {
    execFileSync('umount', [place])
  }
})

test('an aborted extraction ends with the reason', options, async () => {
  await using bed = new ImageBed()
  const staged = await bed.snapshotter.stage()
  const controller = new AbortController()
  const archive = await tarOf([{ name: 'a' }, 'x'.repeat(5000)])
  const source = Readable.from(
    (function* () {
      yield archive.subarray(0, 1024)
      controller.abort(new Error('enough'))
      yield archive.subarray(1024)
    })(),
  )
  await assert.rejects(
    unpackLayer(source, staged.directory, { maxBytes: 1e9, maxEntries: 10, signal: controller.signal }),
    /enough/,
  )
  await staged.discard()
})

test('attributes of an open directory are its own', options, async () => {
  await using bed = new ImageBed()
  using stack = new DisposableStack()
  const fd = stack.adopt(openDirectory(bed.place('x')), closeSync)
  setAttributeAt(fd, '', 'trusted.test', Buffer.from('1'))
  assert.equal(attribute(bed.root, 'x', 'trusted.test'), '31')
})
