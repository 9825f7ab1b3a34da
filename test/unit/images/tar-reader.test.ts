import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { extract, pack } from 'tar-stream'
import { isKind } from '../../../engine/base/errors.ts'
import { type TarEntry, TarReader } from '../../../engine/images/tar-reader.ts'
import { padding, plainEntry, tarEnd, tarHeader } from '../../../engine/images/tar-writer.ts'

type Seen = { entry: TarEntry; contents: string }

/** Reads in pieces of the given size. */
function read(archive: Buffer, size = archive.length): Seen[] {
  const seen: Seen[] = []
  let ended = 0
  const reader = new TarReader({
    entry: (entry) => seen.push({ entry, contents: '' }),
    data: (chunk) => {
      seen.at(-1)!.contents += chunk.toString('latin1')
    },
    end: () => {
      ended += 1
    },
  })
  for (let at = 0; at < archive.length; at += size) reader.write(archive.subarray(at, at + size))
  reader.finish()
  assert.equal(ended, seen.length)
  return seen
}

const invalid = (words: RegExp) => (error: unknown) => isKind(error, 'invalid') && words.test(error.message)

/** As tar-stream, an implementation that nobody here wrote, makes it. */
async function foreign(): Promise<Buffer> {
  const archive = pack()
  archive.entry({ name: 'short', mtime: new Date(1e12), uid: 1, gid: 2, mode: 0o4755 }, 'contents')
  archive.entry({ name: 'directory', type: 'directory', mode: 0o700 })
  archive.entry({ name: `${'long/'.repeat(60)}name` }, 'deep')
  archive.entry({ name: 'größe' }, 'x'.repeat(1024))
  archive.entry({ name: 'link', type: 'symlink', linkname: `/${'t'.repeat(150)}` })
  archive.entry({ name: 'hard', type: 'link', linkname: 'short' })
  archive.entry({ name: 'null', type: 'character-device', devmajor: 1, devminor: 3 })
  archive.finalize()
  return await buffer(archive as unknown as AsyncIterable<Buffer>)
}

for (const size of [1, 511, 512, 513, 1500, 1 << 20])
  test(`entries are read from pieces of ${size} bytes`, async () => {
    const seen = read(await foreign(), size)
    assert.deepEqual(
      seen.map(({ entry }) => [entry.name, entry.type, entry.size]),
      [
        ['short', 'file', 8],
        ['directory', 'directory', 0],
        [`${'long/'.repeat(60)}name`, 'file', 4],
        [Buffer.from('größe').toString('latin1'), 'file', 1024],
        ['link', 'symlink', 0],
        ['hard', 'link', 0],
        ['null', 'character', 0],
      ],
    )
    const [first] = seen
    assert.equal(first!.contents, 'contents')
    assert.deepEqual([first!.entry.mode, first!.entry.uid, first!.entry.gid], [0o4755, 1, 2])
    assert.deepEqual(first!.entry.modified, { seconds: 1e9, nanoseconds: 0 })
    assert.equal(seen[3]!.contents.length, 1024)
    assert.deepEqual([seen[4]!.entry.linkName.length, seen[5]!.entry.linkName], [151, 'short'])
    assert.deepEqual([seen[6]!.entry.deviceMajor, seen[6]!.entry.deviceMinor], [1, 3])
  })

const extreme: readonly TarEntry[] = [
  { ...plainEntry('plain', 'file', 0o644), modified: { seconds: 1_700_000_000, nanoseconds: 0 } },
  { ...plainEntry('fraction', 'file', 0o644), modified: { seconds: 1_700_000_000, nanoseconds: 1 } },
  { ...plainEntry('before 1970', 'fifo', 0o600), modified: { seconds: -2, nanoseconds: 500_000_000 } },
  { ...plainEntry('far future', 'file', 0o600), modified: { seconds: 0o77777777777 + 1, nanoseconds: 0 } },
  { ...plainEntry('large ids', 'file', 0o600), uid: 4_000_000_000, gid: 0o7777777 + 1 },
  plainEntry(`${'d'.repeat(100)}/${'n'.repeat(200)}/`, 'directory', 0o1777),
  plainEntry('not\xffutf8\x01', 'file', 0o600),
  { ...plainEntry('link', 'symlink', 0o777), linkName: `caf\xe9/${'x'.repeat(100)}` },
  {
    ...plainEntry('attributes', 'file', 0o755),
    attributes: new Map([
      ['security.capability', Buffer.from([1, 0, 0, 2, 0x80, 0xff, 10, 61])],
      ['user.größe', Buffer.alloc(0)],
      ['user.long', Buffer.alloc(990, 1)],
    ]),
  },
  { ...plainEntry('device', 'block', 0o660), deviceMajor: 259, deviceMinor: 70_000 },
]

test('what is written is read again, to the byte', () => {
  const archive = Buffer.concat([...extreme.map((entry) => tarHeader(entry)), tarEnd])
  assert.deepEqual(
    read(archive).map(({ entry }) => entry),
    extreme,
  )
})

test('what is written is read by tar-stream', async () => {
  const entries = extreme.filter(({ name }) => name.length < 400 && !name.includes('\xff'))
  const parser = extract()
  const names: [string, number][] = []
  const done = (async () => {
    for await (const entry of parser) {
      names.push([entry.header.name, entry.header.mode])
      entry.resume()
    }
  })()
  parser.end(Buffer.concat([...entries.map((entry) => tarHeader(entry)), tarEnd]))
  await done
  assert.deepEqual(
    names,
    entries.map(({ name, mode }) => [name, mode]),
  )
})

test('pax records of every length around a change of digits hold', () => {
  for (const length of [80, 84, 85, 86, 87, 88, 89, 90, 980, 983, 984, 985, 986, 987, 988, 9970, 9980, 9985])
    assert.equal(
      read(Buffer.concat([tarHeader(plainEntry(`${'n'.repeat(length)}\xe9`, 'file', 0)), tarEnd]))[0]!.entry.name
        .length,
      length + 1,
    )
})

/** Puts bytes into the first header and makes its checksum right again. */
function patched(
  at: number,
  bytes: string,
  archive: Buffer = Buffer.concat([tarHeader(plainEntry('name', 'file', 0o644)), tarEnd]),
): Buffer {
  const copy = Buffer.from(archive)
  copy.write(bytes, at, 'latin1')
  copy.fill(32, 148, 156)
  let sum = 0
  for (const byte of copy.subarray(0, 512)) sum += byte
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return copy
}

/** An extended header of the kind with this body, before an ordinary file. */
const extended = (kind: string, body: Buffer): Buffer =>
  Buffer.concat([
    patched(156, kind, tarHeader({ ...plainEntry('extension', 'file', 0), size: body.length })),
    body,
    padding(body.length),
    tarHeader(plainEntry('name', 'file', 0)),
    tarEnd,
  ])

test('GNU long names and base-256 numbers are read', () => {
  assert.equal(read(extended('L', Buffer.from(`${'n'.repeat(300)}\0`)))[0]!.entry.name.length, 300)
  assert.equal(read(extended('K', Buffer.from('target\0')))[0]!.entry.linkName, 'target')
  assert.equal(read(patched(108, '\x80\0\0\0\xee\x6b\x28\0'))[0]!.entry.uid, 4_000_000_000)
  assert.deepEqual(read(patched(136, '\xff'.repeat(12)))[0]!.entry.modified, { seconds: -1, nanoseconds: 0 })
})

test('a global pax header holds for all that follow, and may be the last thing', () => {
  const body = Buffer.from('11 uid=1234\n')
  assert.equal(read(extended('g', Buffer.from('12 uid=1234\n')))[0]!.entry.uid, 1234)
  assert.deepEqual(
    read(
      Buffer.concat([
        patched(156, 'g', tarHeader({ ...plainEntry('x', 'file', 0), size: 12 })),
        Buffer.from('12 uid=1234\n'),
        padding(12),
      ]),
    ),
    [],
  )
  assert.throws(() => read(extended('g', body)), invalid(/pax header is damaged/))
})

test('an archive may end without its two empty blocks, and go on after them', () => {
  const header = tarHeader(plainEntry('name', 'file', 0))
  assert.equal(read(header).length, 1)
  assert.equal(read(Buffer.concat([header, tarEnd, Buffer.from('whatever')])).length, 1)
  assert.deepEqual(read(Buffer.alloc(0)), [])
})

test('a directory may be marked by its slash alone; a size of what has no contents means nothing', () => {
  assert.equal(read(patched(0, 'name/'))[0]!.entry.type, 'directory')
  const link = patched(156, '2', tarHeader({ ...plainEntry('name', 'file', 0), size: 5000 }))
  assert.deepEqual(
    read(Buffer.concat([link, tarHeader(plainEntry('next', 'file', 0)), tarEnd])).map(({ entry }) => entry.name),
    ['name', 'next'],
  )
})

const damaged: readonly [what: string, words: RegExp, archive: () => Buffer][] = [
  ['a wrong checksum', /checksum/, () => Buffer.concat([Buffer.alloc(512, 65), tarEnd])],
  ['no octal number', /not an octal number/, () => patched(100, '9999999\0')],
  ['a negative size', /has the size/, () => patched(124, '\xff'.repeat(12))],
  ['a size beyond counting', /has the size/, () => patched(124, `\x80${'\x7f'.repeat(11)}`)],
  ['an owner beyond 32 bits', /belongs to/, () => patched(108, '\x80\0\0\x01\0\0\0\0')],
  ['an end within contents', /middle of an entry/, () => tarHeader({ ...plainEntry('name', 'file', 0), size: 100 })],
  ['an end within a header', /middle of an entry/, () => tarHeader(plainEntry('name', 'file', 0)).subarray(0, 300)],
  [
    'an end after an extended header',
    /middle of an entry/,
    () => extended('x', Buffer.from('12 uid=1234\n')).subarray(0, 1024),
  ],
  ['a sparse file', /which layers don't have/, () => patched(156, 'S')],
  ['a sparse file in pax', /is of kind sparse/, () => extended('x', Buffer.from('22 GNU.sparse.major=1\n'))],
  ['an unknown kind', /is of kind "Z"/, () => patched(156, 'Z')],
  ['a pax record longer than its header', /pax header is damaged/, () => extended('x', Buffer.from('99 uid=1234\n'))],
  ['a pax record without a value', /pax header is damaged/, () => extended('x', Buffer.from('8 uid12\n'))],
  ['a pax record that counts nothing', /pax header is damaged/, () => extended('x', Buffer.from('0 uid=1\n'))],
  ['a pax number that is none', /uid is "12x4"/, () => extended('x', Buffer.from('12 uid=12x4\n'))],
  ['a pax time that is none', /is not a time/, () => extended('x', Buffer.from('14 mtime=soon\n'))],
  [
    'an extended header of two megabytes',
    /extended header of 2097152 bytes/,
    () => extended('x', Buffer.alloc(1 << 21)),
  ],
  ['an empty extended header', /extended header of 0 bytes/, () => extended('L', Buffer.alloc(0))],
]

for (const [what, words, archive] of damaged)
  test(`refused: ${what}`, () => {
    assert.throws(() => read(archive()), invalid(words))
    assert.throws(() => read(archive(), 7), invalid(words))
  })
