/** Reading json-file logs back: real files, written by the shim's own writer. */
import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { EngineError, isKind } from '../../../engine/base/errors.ts'
import type { Container } from '../../../engine/lifecycle/container.ts'
import type { LogOptions } from '../../../engine/lifecycle/containers.ts'
import type { Engine } from '../../../engine/lifecycle/engine.ts'
import { LogDecoder } from '../../../engine/lifecycle/log-decoder.ts'
import { readLogs } from '../../../engine/lifecycle/logs.ts'
import { LogWriter } from '../../../engine/shim/log-writer.ts'

let directory: string
let path: string
let ended: PromiseWithResolvers<void>
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'logs-'))
  path = join(directory, 'c-json.log')
  ended = Promise.withResolvers()
})
afterEach(() => rmSync(directory, { recursive: true }))

const everything: LogOptions = { stdout: true, stderr: true, follow: false, timestamps: false, details: false }

/** A container that runs until `ended`; the rest of an engine is nothing that reading logs looks at. */
function engineOf(log: object = {}, Tty = true): Engine {
  const container = {
    id: 'c',
    config: { Tty },
    hostConfig: { LogConfig: { Type: 'json-file', ...log } },
    logPath: path,
    run: { state: 'running' },
  } as unknown as Container
  return {
    table: { get: () => container },
    removing: new Set(),
    shims: new Map([['c', { exited: ended.promise }]]),
  } as unknown as Engine
}

async function read(options: Partial<LogOptions> = {}, engine = engineOf()): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of readLogs(engine, 'c', { ...everything, ...options })) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

const writer = (maxSize = -1, maxFile = 1): LogWriter =>
  new LogWriter({ driver: 'json-file', path, maxSize, maxFile, attributes: { b: '2 3', a: '1' } })

function write(to: LogWriter, text: string, stream: 'stdout' | 'stderr' = 'stdout'): void {
  const bytes = Buffer.from(text)
  to.write(stream, bytes, bytes.length)
}

test('what was written comes back, whatever it is', async () => {
  const texts = [
    'plain\n',
    'quote " back \\ tab \t bell \u0007 \u001b[1m\n',
    'ünïcödé 🐳\n',
    '","stream":"stdout\n',
    '\n',
  ]
  {
    using log = writer()
    for (const text of texts) write(log, text)
    write(log, 'no newline at the end')
  }
  assert.equal(await read(), `${texts.join('')}no newline at the end`)
})

test('frames: a stream number and a length for each line', async () => {
  {
    using log = writer()
    write(log, 'one\ntwo\n')
    write(log, 'bad\n', 'stderr')
  }
  const chunks: Buffer[] = []
  for await (const chunk of readLogs(engineOf({}, false), 'c', everything)) chunks.push(chunk as Buffer)
  assert.deepEqual(
    Buffer.concat(chunks),
    Buffer.from('\x01\0\0\0\0\0\0\x04one\n\x01\0\0\0\0\0\0\x04two\n\x02\0\0\0\0\0\0\x04bad\n', 'latin1'),
  )
  assert.equal(await read({ stdout: false }), 'bad\n')
})

test('timestamps of nine digits, details sorted behind them', async () => {
  {
    using log = writer()
    write(log, 'x\n')
  }
  assert.match(await read({ timestamps: true }), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z x\n$/)
  assert.match(await read({ timestamps: true, details: true }), /Z a=1,b=2%203 x\n$/)
})

test('tail counts lines from the end, over chunks and rotated files', async () => {
  {
    using log = writer(2000, 4)
    for (let line = 0; line < 60; line += 1) write(log, `line ${line}\n`)
  }
  assert.equal(
    await read({ tail: 2 }, engineOf({ Config: { 'max-size': '2000', 'max-file': '4' } })),
    'line 58\nline 59\n',
  )
  const rotated = await read({ tail: 30 }, engineOf({ Config: { 'max-size': '2000', 'max-file': '4' } }))
  assert.deepEqual(
    rotated.split('\n').slice(0, 30),
    Array.from({ length: 30 }, (_, line) => `line ${line + 30}`),
  )
  assert.equal(await read({ tail: 0 }), '')
})

test('tail of long lines reaches back over many chunks', async () => {
  const long = 'x'.repeat(9000)
  {
    using log = writer()
    for (let line = 0; line < 40; line += 1) write(log, `${line} ${long}\n`)
  }
  assert.deepEqual(
    (await read({ tail: 25 })).split('\n').map((line) => line.slice(0, 2).trim()),
    [...Array.from({ length: 25 }, (_, line) => String(line + 15)), ''],
  )
})

test('since and until choose by time', async () => {
  const line = (second: number): string =>
    `{"log":"${second}\\n","stream":"stdout","time":"2026-01-01T00:00:0${second}.500000000Z"}\n`
  writeFileSync(path, [1, 2, 3, 4].map(line).join(''))
  const start = Date.parse('2026-01-01T00:00:00Z') / 1000
  assert.equal(await read({ since: start + 2.5 }), '2\n3\n4\n')
  assert.equal(await read({ until: start + 2.6 }), '1\n2\n')
  assert.equal(await read({ since: start + 2, until: start + 4 }), '2\n3\n')
  assert.equal(await read({ since: 0 }), '1\n2\n3\n4\n')
})

test('lines of another writer, and a line that a crash cut off', async () => {
  writeFileSync(
    path,
    '{"time":"2026-01-01T00:00:00.5Z","stream":"stderr","log":"\\u003ca\\ud83d\\udc33\\n"}\n{"log":"broken\nnot json\n' +
      '{"log":"ok\\n","stream":"stdout","time":"2026-01-01T00:00:01Z"}\n{"log":"unfinis',
  )
  assert.equal(
    await read({ timestamps: true }),
    '2026-01-01T00:00:00.500000000Z <a🐳\n2026-01-01T00:00:01.000000000Z ok\n',
  )
})

test('following misses and repeats nothing across rotations, and ends with the container', async () => {
  const count = 400
  const engine = engineOf({ Config: { 'max-size': '1000', 'max-file': '50' } })
  const log = writer(1000, 50)
  write(log, 'line 0\n')
  const following = read({ follow: true }, engine)
  for (let line = 1; line < count; line += 1) {
    write(log, `line ${line}\n`)
    if (line % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  log[Symbol.dispose]()
  ended.resolve()
  const lines = (await following).trimEnd().split('\n')
  assert.deepEqual(
    lines,
    Array.from({ length: count }, (_, line) => `line ${line}`),
  )
})

test('a follower that goes away lets go of the file', async () => {
  writeFileSync(path, '')
  const stream = readLogs(engineOf(), 'c', { ...everything, follow: true })
  stream.resume()
  await new Promise((resolve) => setImmediate(resolve))
  stream.destroy()
  await new Promise((resolve) => stream.once('close', resolve))
  appendFileSync(path, 'more\n')
})

test('what cannot be read is refused', () => {
  assert.throws(
    () => readLogs(engineOf(), 'c', { ...everything, stdout: false, stderr: false }),
    (error) => isKind(error, 'invalid') && error.message === 'Bad parameters: you must choose at least one stream',
  )
  assert.throws(
    () => readLogs(engineOf({ Type: 'none' }), 'c', everything),
    (error) => error instanceof EngineError && error.kind === 'not-implemented',
  )
})

test('output is never longer than the lines it comes from', () => {
  const decoder = new LogDecoder({ stdout: true, stderr: true, timestamps: true, details: false, framed: true })
  const line = Buffer.from('{"log":"","stream":"stdout","time":"2026-01-01T00:00:00.000000000Z"}\n')
  assert.equal(decoder.decode(line).length, 8 + 31)
})
