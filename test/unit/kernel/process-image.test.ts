/** What an image of a process says of its memory, from what /proc says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { resumeListing, stillListing } from '../../../engine/kernel/process-image.table.ts'
import {
  busyTable,
  headSize,
  imageHead,
  imageTells,
  isOfKernel,
  type Mapping,
  parseMaps,
  segmentsOf,
} from '../../../engine/kernel/process-image.ts'
import { testListings } from './assembler.ts'

testListings({ x64: stillListing }, 'still')
testListings({ x64: resumeListing }, 'resume')

const page = 4096n
const present = 1n << 63n
const swapped = 1n << 62n
const ofFile = 1n << 61n
const exclusive = 1n << 56n

const pagemap = (...entries: bigint[]): Buffer => {
  const bytes = Buffer.alloc(entries.length * 8)
  for (const [index, entry] of entries.entries()) bytes.writeBigUInt64LE(entry, index * 8)
  return bytes
}

const mapping = (pages: number, more: Partial<Mapping> = {}): Mapping => ({
  start: 0x10000n,
  end: 0x10000n + BigInt(pages) * page,
  protection: 3,
  shared: false,
  offset: 0n,
  path: '',
  ...more,
})

test('the memory map of this very process is understood, and covers itself', () => {
  const maps = parseMaps(readFileSync('/proc/self/maps', 'latin1'))
  assert.ok(maps.length > 20)
  for (const { start, end } of maps) assert.ok(start < end)
  assert.ok(maps.some(({ path }) => path === '[stack]'))
  assert.ok(maps.some((entry) => isOfKernel(entry) && entry.path === '[vdso]'))
  const [odd] = parseMaps('7f00000-7f01000 r-xs 00002000 fe:00 42                         /a name (deleted)\n')
  assert.deepEqual(odd, {
    start: 0x7f00000n,
    end: 0x7f01000n,
    protection: 5,
    shared: true,
    offset: 0x2000n,
    path: '/a name (deleted)',
  })
  assert.throws(() => parseMaps('nonsense'), /not understood/)
})

test('of a file, the pages that were changed come from the image, the others from the file', () => {
  const segments = segmentsOf(
    mapping(4, { path: '/lib/x.so', offset: 0x3000n }),
    pagemap(present | ofFile, present, 0n, swapped),
    headSize,
  )
  assert.deepEqual(
    segments.map(({ address, length, source, offset }) => [address, length, source, offset]),
    [
      [0x10000n, page, { path: '/lib/x.so' }, 0x3000n],
      [0x11000n, page, 'image', headSize],
      [0x12000n, page, { path: '/lib/x.so' }, 0x5000n],
      [0x13000n, page, 'image', headSize + page],
    ],
  )
})

test('of memory without a file, nothing is written that was not touched, but for small gaps', () => {
  const few = segmentsOf(mapping(4), pagemap(0n, present, present | ofFile, present), headSize)
  assert.deepEqual(
    few.map(({ address, length, source }) => [address, length, source]),
    [
      [0x10000n, page, 'none'],
      [0x11000n, 3n * page, 'image'],
    ],
  )
  const far = segmentsOf(mapping(40), pagemap(present, ...Array.from({ length: 38 }, () => 0n), present), headSize)
  assert.deepEqual(
    far.map(({ length, source }) => [length / page, source]),
    [
      [1n, 'image'],
      [38n, 'none'],
      [1n, 'image'],
    ],
  )
  const whole = few.concat(far)
  assert.ok(whole.every(({ protection }) => protection === 3))
})

test('what others share, or what is of a file that has gone, is refused', () => {
  for (const more of [{ shared: true }, { path: '/x (deleted)' }])
    assert.throws(() => segmentsOf(mapping(1, more), pagemap(present), headSize), /not this process's alone/)
})

test('busy is what was written since the fork, and of what cannot be written what was read', () => {
  const own = present | exclusive
  const table = busyTable([
    [mapping(12), pagemap(own, present, own, ...Array.from({ length: 8 }, () => present), own)],
    [mapping(3, { start: 0x90000n, end: 0x93000n, protection: 5, path: '/bin/x' }), pagemap(0n, present | ofFile, 0n)],
    [mapping(1, { start: 0xa0000n, end: 0xa1000n }), pagemap(own | ofFile)],
  ])
  const entries = Array.from({ length: table.length / 16 }, (_, index) => [
    table.readBigUInt64LE(index * 16),
    table.readUInt32LE(index * 16 + 8) / 4096,
    table.readUInt32LE(index * 16 + 12),
  ])
  assert.deepEqual(entries, [
    [0x10000n, 3, 23],
    [0x1b000n, 1, 23],
    [0x91000n, 1, 22],
  ])
})

const file = { path: '/usr/bin/node', dev: 1n, ino: 2n, size: 3n, mtimeNs: 4_000_000_005n, ctimeNs: 6_000_000_007n }
const image = {
  boot: 'a'.repeat(36),
  files: [file, { ...file, path: '/lib/libc.so' }],
  segments: [
    { address: 0x10000n, length: page, protection: 1, source: { path: '/lib/libc.so' }, offset: 0n },
    { address: 0x20000n, length: page, protection: 3, source: 'image' as const, offset: headSize },
    { address: 0x30000n, length: page, protection: 3, source: 'none' as const, offset: 0n },
  ],
  kernel: [
    { ...mapping(4, { path: '[vvar]' }) },
    { ...mapping(2, { start: 0x14000n, end: 0x16000n, path: '[vdso]' }) },
  ],
  busy: Buffer.alloc(32, 7),
  resume: 0x1111n,
  state: 0x2222n,
  bounds: [1n, 2n, 3n, 4n, 5n, 6n],
}

test('a head says what it was made of', () => {
  const head = imageHead(image)
  assert.equal(head.length, Number(headSize))
  assert.deepEqual(imageTells(head), { boot: image.boot, files: image.files })
  assert.deepEqual(
    [44, 48, 52, 72].map((at) => head.readUInt32LE(at)),
    [2, 3, 2, 2],
    'files, segments, mappings of the kernel, busy ranges',
  )
  assert.equal(head.readBigUInt64LE(56), 0x1111n)
  assert.equal(head.readBigUInt64LE(80 + 5 * 8), 6n, 'brk')
  const segments = 192 + 2 * 64
  assert.deepEqual(
    [0, 1, 2].map((index) => head.readUInt32LE(segments + index * 40 + 24)),
    [2, 0, 0],
    'the second file; the image; nothing',
  )
  assert.deepEqual(
    [0, 1, 2].map((index) => head.readUInt32LE(segments + index * 40 + 20).toString(16)),
    ['100002', '100002', '104022'],
    'private, at that place and nowhere else; anonymous',
  )
  const vvar = segments + 3 * 40
  assert.equal(head.readBigInt64LE(vvar + 16), -0x4000n, 'before the vdso')
  assert.deepEqual(head.subarray(vvar + 2 * 24, vvar + 2 * 24 + 32), image.busy)
})

test('what does not fit into a head, or is not among its files, is no image', () => {
  const segments = Array.from({ length: 1700 }, () => image.segments[2]!)
  assert.throws(() => imageHead({ ...image, segments }), /no room/)
  assert.throws(() => imageHead({ ...image, files: Array.from({ length: 31 }, () => file) }), /no room/)
  assert.throws(() => imageHead({ ...image, files: [file] }), /libc\.so is mapped and not among the files/)
  assert.throws(() => imageTells(Buffer.alloc(Number(headSize))), /not the image/)
})
