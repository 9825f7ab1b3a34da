import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogBuffer } from '../../../extension/documents/log-buffer.ts'
import { FrameReader } from '../../../extension/engine-client/frames.ts'
import { jsonLines, linesOf } from '../../../extension/engine-client/lines.ts'

async function* bytes(...texts: (string | Buffer)[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

const collect = async <T>(source: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = []
  for await (const item of source) all.push(item)
  return all
}

test('lines are found across chunks, with either line end, and a character may be cut in two', async () => {
  const euro = Buffer.from('€')
  const chunks = bytes('a\r\nb', 'c\n', euro.subarray(0, 1), euro.subarray(1), '\nend')
  assert.deepEqual(await collect(linesOf(chunks)), ['a', 'bc', '€', 'end'])
})

test('JSON lines skip blank ones and fail on what is none', async () => {
  assert.deepEqual(await collect(jsonLines(bytes('{"a":1}\n\n{"a"', ':2}\n'))), [{ a: 1 }, { a: 2 }])
  await assert.rejects(collect(jsonLines(bytes('nonsense\n'))), SyntaxError)
})

test('frames are read whatever the chunks are, byte by byte too', () => {
  const wire = Buffer.from([1, 0, 0, 0, 0, 0, 0, 3, 97, 98, 99, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 33])
  const reader = new FrameReader()
  const pieces = [...wire].flatMap((byte) => reader.push(Buffer.from([byte])))
  const textOf = (stream: string): string =>
    pieces
      .filter((piece) => piece.stream === stream)
      .map((piece) => piece.payload.toString())
      .join('')
  assert.equal(textOf('stdout'), 'abc')
  assert.equal(textOf('stderr'), '!')
  assert.deepEqual(
    new FrameReader().push(wire).map(({ stream, payload }) => [stream, payload.toString()]),
    [
      ['stdout', 'abc'],
      ['stderr', '!'],
    ],
  )
})

test('a log is plain text: no colours, no window titles, one kind of line end', () => {
  const log = new LogBuffer()
  log.push(Buffer.from('\u001b[31mred\u001b[0m\r\n\u001b]0;title\u0007next\u001b[2K\n'))
  assert.equal(log.text(), 'red\nnext\n')
})

test('what a terminal would have written over is not in the log, and no line is doubled', () => {
  const log = new LogBuffer()
  log.push(Buffer.from('a\r'))
  log.push(Buffer.from('\n10 %\r20 %\rdone\r\r\n\u001b[?2004l\rnext\r'))
  assert.equal(log.text(), 'a\ndone\nnext')
})

test('an escape sequence in two chunks is still taken out', () => {
  const log = new LogBuffer()
  log.push(Buffer.from('a\u001b[3'))
  log.push(Buffer.from('1mb'))
  assert.equal(log.text(), 'ab')
})

test('of a long log only the end is kept, from the start of a line, and it is said', () => {
  const log = new LogBuffer(1000)
  for (let number = 0; number < 500; number++) log.push(Buffer.from(`line ${number}\n`))
  const [head = '', first = ''] = log.text().split('\n')
  assert.ok(log.text().length < 1100)
  assert.match(head, /^… \d+ earlier characters are not kept$/)
  assert.match(first, /^line \d+$/)
  assert.ok(log.text().endsWith('line 499\n'))
})

test('a single line without end is bounded as well', () => {
  const log = new LogBuffer(1000)
  for (let count = 0; count < 100; count++) log.push(Buffer.from('x'.repeat(100)))
  assert.ok(log.text().length < 1100)
})
