/** What xz and bzip2 pack, read by us; and what they would never write. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { bunzip2 } from '../../../engine/images/bunzip2.ts'
import { unxz } from '../../../engine/images/unxz.ts'

type Unpack = typeof unxz

/** In pieces of no round size, so that numbers and headers are cut anywhere. */
function inPieces(bytes: Buffer, size = 1013): AsyncIterator<Buffer> {
  return (async function* () {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  })()
}

async function read(unpack: Unpack, bytes: Buffer, size?: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of unpack(inPieces(bytes, size))) pieces.push(piece)
  return Buffer.concat(pieces)
}

const packed = {
  bunzip2: 'QlpoOTFBWSZTWby3mzgAAAfRgAAQQAAuSEyAIAAxA0DQKYEzapOpCxEhXGPi7kinChIXlvNnAA==',
  unxz: '/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAPd2hhdCB3YXMgcGFja2VkCgDfKyxOimjVBAABKBDlC2xgH7bzfQEAAAAABFla',
}
const formats: readonly [keyof typeof packed, Unpack][] = [
  ['bunzip2', bunzip2],
  ['unxz', unxz],
]

for (const [name, unpack] of formats)
  test(`${name}: a small file, by one byte at a time`, async () => {
    const bytes = Buffer.from(packed[name], 'base64')
    assert.equal((await read(unpack, bytes, 1)).toString(), 'what was packed\n')
    assert.equal((await read(unpack, Buffer.concat([bytes, bytes]))).toString(), 'what was packed\n'.repeat(2))
  })

const has = (program: string): boolean => spawnSync(program, ['--version'], { input: '' }).error === undefined
const missing = ['xz', 'bzip2'].filter((program) => !has(program))

function pack(words: readonly string[], input: Buffer): Buffer {
  const [program = '', ...args] = words
  const { stdout, status, stderr } = spawnSync(program, [...args, '-c'], { input, maxBuffer: 2 ** 28 })
  assert.equal(status, 0, stderr.toString())
  return stdout
}

/** Repetitions near and far, runs of every length, every byte, and noise that nothing can pack. */
const runs = Buffer.concat(Array.from({ length: 300 }, (_, length) => Buffer.alloc(length, length & 0xff)))
const text = Buffer.from(Array.from({ length: 8_000 }, (_, line) => `line ${line * line} of ${line % 97}\n`).join(''))
const noise = randomBytes(150_000)
const inputs: Readonly<Record<string, Buffer>> = {
  nothing: Buffer.alloc(0),
  'one byte': Buffer.from([0xff]),
  runs,
  zeros: Buffer.alloc(1_000_000),
  noise,
  'all of it': Buffer.concat([text, noise, runs, text, noise.subarray(0, 50_000), text]),
}

describe('against the programs', { skip: missing.length > 0 && `needs ${missing.join(', ')}` }, () => {
  const ways: readonly [Unpack, string[]][] = [
    [bunzip2, ['bzip2', '-1']],
    [bunzip2, ['bzip2', '-9']],
    [unxz, ['xz', '-0', '--check=none']],
    [unxz, ['xz', '-6', '--check=crc32']],
    [unxz, ['xz', '-9e', '--check=sha256']],
    [unxz, ['xz', '--lzma2=preset=6,lc=0,lp=4,pb=0']],
    [unxz, ['xz', '--lzma2=preset=3,lc=4,lp=0,pb=4,dict=4KiB']],
    [unxz, ['xz', '--block-size=50000', '-T2']],
  ]
  for (const [unpack, words] of ways)
    test(words.join(' '), async () => {
      for (const [name, input] of Object.entries(inputs)) {
        const bytes = pack(words, input)
        assert.ok((await read(unpack, bytes)).equals(input), name)
        assert.ok(
          (await read(unpack, Buffer.concat([bytes, bytes]))).equals(Buffer.concat([input, input])),
          `${name} twice`,
        )
      }
    })

  test('padding between streams of xz', async () => {
    const bytes = pack(['xz'], text)
    const padded = Buffer.concat([bytes, Buffer.alloc(8), bytes, Buffer.alloc(4)])
    assert.equal((await read(unxz, padded)).length, 2 * text.length)
  })

  for (const [name, unpack, words] of [
    ['bzip2', bunzip2, ['bzip2', '-1']],
    ['xz', unxz, ['xz', '-1']],
    ['xz without a check', unxz, ['xz', '-1', '--check=none']],
  ] as const)
    test(`${name}: cut off anywhere, or with one bit turned, it is invalid or the same`, async () => {
      const input = Buffer.concat([text.subarray(0, 60_000), noise.subarray(0, 1000), runs])
      const bytes = pack([...words], input)
      const told = (error: unknown): undefined => {
        assert.ok(isKind(error as Error, 'invalid'), (error as Error).stack)
      }
      for (let nth = 0; nth < 60; nth += 1) {
        const at = Math.trunc((bytes.length * nth) / 60)
        await assert.rejects(read(unpack, bytes.subarray(0, at)), (error) => told(error) === undefined)
        const turned = Buffer.from(bytes)
        turned[at + (nth % 7)]! ^= 1 << (nth % 8)
        const result = await read(unpack, turned).catch(told)
        if (name !== 'xz without a check') assert.ok(result === undefined || result.equals(input), `${at}`)
      }
    })

  test('xz: what needs more memory than is allowed, and filters, are refused by name', async () => {
    const refused = (...words: string[]) => read(unxz, pack(['xz', ...words], text))
    await assert.rejects(refused('--lzma2=preset=0,dict=128MiB'), /needs 134217728 bytes of memory, and 67108864 are/)
    await assert.rejects(refused('--x86', '--lzma2=preset=0'), /filtered by more than LZMA2/)
  })

  test('little that says much comes in pieces, as fast as they are taken', async () => {
    const zeros = Buffer.alloc(12_000_000)
    const hash = createHash('sha256').update(zeros).digest('hex')
    for (const [unpack, program] of [
      [bunzip2, 'bzip2'],
      [unxz, 'xz'],
    ] as const) {
      const stream = Readable.from(unpack(inPieces(pack([program], zeros))), { objectMode: false })
      const whole = createHash('sha256')
      for await (const piece of stream as AsyncIterable<Buffer>) {
        assert.ok(piece.length <= 65_536 + 273)
        whole.update(piece)
      }
      assert.equal(whole.digest('hex'), hash)
    }
  })
})
