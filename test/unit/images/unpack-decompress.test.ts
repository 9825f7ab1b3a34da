import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { isKind } from '../../../engine/base/errors.ts'
import { decompressed } from '../../../engine/images/decompress.ts'
import { goFileMode } from '../../../engine/images/go-file-mode.ts'

const text = Buffer.from('an archive, more or less. '.repeat(50_000))

async function read(source: Readable, options: Parameters<typeof decompressed>[1] = {}): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of decompressed(source, options)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** One byte first, so that no piece begins with a whole magic number. */
const inPieces = (bytes: Buffer): Readable =>
  Readable.from([bytes.subarray(0, 1), bytes.subarray(1, 3), bytes.subarray(3)])

for (const [name, bytes] of [
  ['plain', text],
  ['gzip', gzipSync(text)],
  ['zstd', zstdCompressSync(text)],
  ['gzip of two members', Buffer.concat([gzipSync(text.subarray(0, 1000)), gzipSync(text.subarray(1000))])],
] as const)
  test(`${name} comes out as it was`, async () => {
    let taken = 0
    const result = await read(inPieces(bytes), {
      onRead: (count) => {
        taken = count
      },
    })
    assert.ok(result.equals(text))
    assert.equal(taken, bytes.length)
  })

test('an empty or tiny source is no failure', async () => {
  assert.equal((await read(Readable.from([]))).length, 0)
  assert.equal((await read(Readable.from([Buffer.from('abc')]))).toString(), 'abc')
})

for (const [name, bytes] of [
  ['gzip cut off', gzipSync(text).subarray(0, 900)],
  ['zstd cut off', zstdCompressSync(text).subarray(0, 60)],
  ['gzip with a wrong sum', Buffer.concat([gzipSync(text).subarray(0, -8), Buffer.alloc(8)])],
  ['bzip2', Buffer.from('BZh91AY&SY')],
  ['xz', Buffer.from('fd377a585a0000', 'hex')],
] as const)
  test(`${name} is invalid`, async () => {
    const source = inPieces(bytes)
    await assert.rejects(read(source), (error: unknown) => isKind(error, 'invalid'))
    assert.ok(source.destroyed)
  })

test("the source's own failure comes out as it is", async () => {
  const failing = Readable.from(
    (function* () {
      yield gzipSync(text).subarray(0, 100)
      throw new Error('the line went dead')
    })(),
  )
  await assert.rejects(read(failing), /the line went dead/)
})

test('an abort ends it with its reason, and the source with it', async () => {
  const source = inPieces(gzipSync(text))
  await assert.rejects(read(source, { signal: AbortSignal.abort(new Error('enough')) }), /enough/)
  assert.ok(source.destroyed)
})

test('a reader that leaves early ends the source', async () => {
  const source = inPieces(gzipSync(text))
  for await (const _chunk of decompressed(source)) break
  assert.ok(source.destroyed)
})

test("Go's file modes", () => {
  assert.equal(goFileMode(0o100644), 0o644)
  assert.equal(goFileMode(0o040755), 2147484141)
  assert.equal(goFileMode(0o120777), 134218239)
  assert.equal(goFileMode(0o104755), 0o755 + 2 ** 23)
  assert.equal(goFileMode(0o102755), 0o755 + 2 ** 22)
  assert.equal(goFileMode(0o041777), 0o777 + 2 ** 31 + 2 ** 20)
  assert.equal(goFileMode(0o020666), 0o666 + 2 ** 26 + 2 ** 21)
  assert.equal(goFileMode(0o060660), 0o660 + 2 ** 26)
  assert.equal(goFileMode(0o010600), 0o600 + 2 ** 25)
  assert.equal(goFileMode(0o140755), 0o755 + 2 ** 24)
})
