import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type LogStream, LogWriter, longestPiece } from '../../../engine/shim/log-writer.ts'

type Line = { log: string; stream: string; time: string; attrs?: Record<string, string> }

/** What the file says after these writes and the streams' end. */
function written(
  chunks: readonly (readonly [LogStream, Buffer | string])[],
  attributes?: Record<string, string>,
): Line[] {
  const directory = mkdtempSync(join(tmpdir(), 'log-writer-'))
  using _directory = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) }
  const path = join(directory, 'log')
  const config = { driver: 'json-file' as const, path, maxSize: -1, maxFile: 1 }
  {
    using log = new LogWriter(attributes === undefined ? config : { ...config, attributes })
    for (const [stream, chunk] of chunks) log.write(stream, Buffer.from(chunk), Buffer.byteLength(chunk))
  }
  const lines = readFileSync(path, 'utf8').split('\n')
  assert.equal(lines.pop(), '')
  return lines.map((line) => JSON.parse(line) as Line)
}

const texts = (lines: readonly Line[]): string[] => lines.map(({ log }) => log)

test('every byte of ASCII, and what is beyond it, comes back', () => {
  const all = `${String.fromCharCode(...Array.from({ length: 128 }, (_, code) => code).filter((code) => code !== 10))}äöü €😀\n`
  assert.deepEqual(texts(written([['stdout', all]])), [all])
})

test('what is not UTF-8 is replaced, and the line stays JSON', () => {
  assert.deepEqual(texts(written([['stdout', Buffer.from([0x61, 0xff, 0x22, 0xc3, 0x0a])]])), ['a\ufffd"\ufffd\n'])
})

test('a line that comes in parts is one line, each stream by itself', () => {
  const lines = written([
    ['stdout', 'one '],
    ['stderr', 'two '],
    ['stdout', 'line\nand'],
    ['stderr', 'lines\n'],
    ['stdout', ' the rest'],
  ])
  assert.deepEqual(
    lines.map(({ log, stream }) => [stream, log]),
    [
      ['stdout', 'one line\n'],
      ['stderr', 'two lines\n'],
      ['stdout', 'and the rest'],
    ],
  )
})

test('a long line comes in pieces, the last of them with its end', () => {
  for (const cut of [1, longestPiece - 1, longestPiece, 3 * longestPiece]) {
    const line = `${'x'.repeat(2 * longestPiece + 100)}\n`
    const pieces = texts(
      written(
        [
          ['stdout', line.slice(0, cut)],
          ['stdout', line.slice(cut)],
        ].filter(([, text]) => text !== '') as [LogStream, string][],
      ),
    )
    assert.equal(pieces.join(''), line, `cut at ${cut}`)
    assert.ok(pieces.every((piece) => piece.length <= longestPiece + 1))
    assert.ok(pieces.slice(0, -1).every((piece) => !piece.endsWith('\n')))
  }
})

test('attributes and times', () => {
  const [line] = written([['stderr', 'x\n']], { tag: 'a"b' })
  assert.deepEqual(line?.attrs, { tag: 'a"b' })
  assert.match(line?.time ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
})

test('random bytes cut anywhere say the same as a plain reading', () => {
  let seed = 7
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed % below
  }
  for (let round = 0; round < 50; round += 1) {
    const alphabet = ['a', '"', '\\', '\n', '\t', 'é', '\u0000', '€']
    const text = Array.from({ length: random(400) }, () => alphabet[random(alphabet.length)]).join('')
    const bytes = Buffer.from(text)
    const chunks: [LogStream, Buffer][] = []
    for (let at = 0; at < bytes.length; ) {
      const length = 1 + random(60)
      chunks.push(['stdout', bytes.subarray(at, at + length)])
      at += length
    }
    assert.equal(texts(written(chunks)).join(''), text)
  }
})

test('attributes of any size, and lines all of whose bytes grow', () => {
  const attributes = { 'org.example.long': 'ä'.repeat(20_000) }
  const worst = '\u0001'.repeat(longestPiece - 1)
  const chunk = `${worst}\nplain\n${worst}\n"\n`.repeat(3)
  const lines = written([['stdout', chunk]], attributes)
  assert.equal(texts(lines).join(''), chunk)
  for (const { attrs } of lines) assert.deepEqual(attrs, attributes)
})

test('plain lines, lines with escapes and unfinished ones in one read, of both streams', () => {
  const lines = ['a plain one\n', '\n', 'tab\there\n', 'umläut\n', 'plain again\n', 'and again\n', 'not ended']
  const chunk = lines.join('')
  const found = written([
    ['stdout', 'begun, '],
    ['stderr', chunk],
    ['stdout', chunk],
    ['stderr', '\nmore\n'.repeat(2000)],
  ])
  const of = (stream: LogStream): string => texts(found.filter((line) => line.stream === stream)).join('')
  assert.equal(of('stdout'), `begun, ${chunk}`)
  assert.equal(of('stderr'), chunk + '\nmore\n'.repeat(2000))
})
