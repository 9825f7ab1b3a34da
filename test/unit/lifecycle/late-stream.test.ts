import assert from 'node:assert/strict'
import { Duplex, duplexPair, Readable } from 'node:stream'
import { test } from 'node:test'
import { LateStream } from '../../../engine/lifecycle/late-stream.ts'

const text = async (stream: Duplex): Promise<string> => Buffer.concat(await Array.fromAsync(stream)).toString()

test('input from before the connection arrives, and its end with it', async () => {
  const late = new LateStream()
  late.flow()
  late.write('early ')
  late.end('input')
  const [inner, process] = duplexPair()
  const received = text(process)
  late.connect(inner)
  assert.equal(await received, 'early input')
})

test('output is passed on after what was prepended, and ends when the inner one does', async () => {
  const late = new LateStream()
  const [inner, process] = duplexPair()
  late.connect(inner)
  process.end('live')
  void late.lead(Readable.from([Buffer.from('log ')]))
  assert.equal(await text(late), 'log live')
})

test('what leads comes as fast as it is read, whole, also where nothing will follow', async () => {
  const late = new LateStream()
  let produced = 0
  async function* log(): AsyncGenerator<Buffer> {
    for (; produced < 200; produced += 1) yield Buffer.alloc(65_536, 'x')
  }
  void late.lead(log())
  late.abandon()
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  assert.ok(produced < 10, `${produced} pieces were taken that nobody read`)
  assert.equal((await text(late)).length, 200 * 65_536)
})

test('one that goes while it is led lets go of what leads', async () => {
  const late = new LateStream()
  const closed = Promise.withResolvers<void>()
  async function* log(): AsyncGenerator<Buffer> {
    try {
      for (;;) yield Buffer.alloc(65_536)
    } finally {
      closed.resolve()
    }
  }
  void late.lead(log())
  await new Promise((resolve) => setImmediate(resolve))
  late.destroy()
  await closed.promise
})

test('one that will never be connected ends', async () => {
  const late = new LateStream()
  late.flow()
  late.write('lost')
  late.abandon()
  assert.equal(await text(late), '')
})

test('more output than anybody reads waits in the inner stream', async () => {
  const late = new LateStream()
  late.flow()
  let produced = 0
  const inner = new Duplex({
    read() {
      produced += 65536
      this.push(produced > 1 << 26 ? null : Buffer.alloc(65536))
    },
    write: (_chunk, _encoding, done) => done(),
  })
  late.connect(inner)
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(produced < 1 << 21, `${produced} bytes were taken that nobody read`)
  late.destroy()
  assert.equal(inner.destroyed, true)
})
