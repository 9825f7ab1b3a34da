import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { type Duplex, duplexPair, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { PortForward } from '../../../extension/debug/port-forward.ts'
import { Console, type ConsoleProcess, type Size } from '../../../extension/terminal/console.ts'
import { OpenSessions } from '../../../extension/terminal/open-sessions.ts'

/** A process at the far end of a connection, which the test plays. */
function playedProcess(): {
  process: ConsoleProcess
  far: Duplex
  sizes: Size[]
  started: PromiseWithResolvers<void>
  closes: () => number
} {
  const [near, far] = duplexPair()
  const sizes: Size[] = []
  const started = Promise.withResolvers<void>()
  let closes = 0
  const process: ConsoleProcess = {
    open: async () => {
      await started.promise
      return { socket: near, multiplexed: false }
    },
    resize: async (size) => {
      sizes.push(size)
    },
    exitCode: async () => 3,
    closed: async () => {
      closes++
    },
  }
  return { process, far, sizes, started, closes: () => closes }
}

const recorder = (): {
  text: string
  code: number | null | undefined
  error: unknown
  output: ConstructorParameters<typeof Console>[1]
} => {
  const record: ReturnType<typeof recorder> = {
    text: '',
    code: undefined,
    error: undefined,
    output: {
      write: (words) => {
        record.text += words
      },
      ended: (code) => {
        record.code = code
      },
      failed: (error) => {
        record.error = error
      },
    },
  }
  return record
}

const firstChunk = (stream: Readable): Promise<string> =>
  new Promise((resolve) => stream.once('data', (chunk) => resolve(String(chunk))))

test('output, input typed before the start, the last size and the exit code arrive', async () => {
  const { process, far, sizes, started } = playedProcess()
  const record = recorder()
  const shown = new Console(process, record.output)
  const over = shown.open({ columns: 80, rows: 24 })
  shown.input('ls\r')
  shown.resize({ columns: 100, rows: 30 })
  started.resolve()
  assert.equal(await firstChunk(far), 'ls\r')
  const euro = Buffer.from('€')
  far.write(euro.subarray(0, 2))
  far.write(euro.subarray(2))
  far.end(' bye')
  await over
  assert.equal(record.text, '€ bye')
  assert.equal(record.code, 3)
  assert.deepEqual(sizes, [{ columns: 100, rows: 30 }])
})

test('a process that can not be started is a failure, not an end', async () => {
  const { process } = playedProcess()
  const record = recorder()
  const failing = { ...process, open: () => Promise.reject(new Error('no such program')) }
  await new Console(failing, record.output).open(undefined)
  assert.match(String(record.error), /no such program/)
  assert.equal(record.code, undefined)
})

test('a terminal that was closed hears nothing more, and its process is seen to', async () => {
  const { process, far, started, closes } = playedProcess()
  const record = recorder()
  const shown = new Console(process, record.output)
  const over = shown.open(undefined)
  started.resolve()
  await shown.close()
  await over
  far.end('late')
  assert.deepEqual([record.text, record.code, record.error, closes()], ['', undefined, undefined, 1])
})

test('what is open is closed once, and a failure is told', async () => {
  const sessions = new OpenSessions()
  let count = 0
  const first = sessions.add(async () => {
    count++
  })
  sessions.add(() => Promise.reject(new Error('stuck')))
  await first()
  assert.deepEqual(await sessions.closeAll(), ['stuck'])
  await first()
  assert.equal(count, 1)
  assert.deepEqual(await sessions.closeAll(), [])
})

const listening = async (): Promise<{
  port: number
  connections: Socket[]
  [Symbol.asyncDispose](): Promise<void>
}> => {
  const connections: Socket[] = []
  const server = createServer((socket) => {
    connections.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => socket.end(String(chunk).toUpperCase()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      for (const socket of connections) socket.destroy()
      server.close(() => resolve())
    })
  return { port, connections, [Symbol.asyncDispose]: close }
}

test('a forwarded port joins each connection with one of its own', async () => {
  await using far = await listening()
  await using forward = new PortForward(
    async () => connect(far.port, '127.0.0.1'),
    (error) => assert.fail(String(error)),
  )
  const port = await forward.listen()
  const answers = ['one', 'two'].map((word) => {
    const socket = connect(port, '127.0.0.1')
    socket.write(word)
    return text(socket)
  })
  assert.deepEqual(await Promise.all(answers), ['ONE', 'TWO'])
  assert.equal(far.connections.length, 2)
})

test('where nobody can be reached the connection is closed, and it is told why', async () => {
  const told = Promise.withResolvers<unknown>()
  await using forward = new PortForward(() => Promise.reject(new Error('nothing listens')), told.resolve)
  const socket = connect(await forward.listen(), '127.0.0.1')
  assert.equal(await text(socket), '')
  assert.match(String(await told.promise), /nothing listens/)
})

test('a forward that ends takes its connections with it', async () => {
  await using far = await listening()
  const forward = new PortForward(
    async () => connect(far.port, '127.0.0.1'),
    (error) => assert.fail(String(error)),
  )
  const socket = connect(await forward.listen(), '127.0.0.1')
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.on('error', () => undefined)
  await forward[Symbol.asyncDispose]()
  await closed
})
