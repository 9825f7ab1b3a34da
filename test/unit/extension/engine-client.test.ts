import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { EngineClient } from '../../../extension/engine-client/client.ts'
import { ApiError, isAbort, UnreachableError } from '../../../extension/engine-client/errors.ts'
import { SocketServer } from './socket-server.ts'

type Seen = { method: string | undefined; url: string | undefined; body: string }

/** Answers every request alike, and keeps what was asked. */
async function answering(status: number, body: string, seen: Seen[] = []): Promise<SocketServer> {
  const server = new SocketServer(async (request, response) => {
    seen.push({ method: request.method, url: request.url, body: await text(request) })
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(body)
  })
  return await server.listen()
}

test('a call names the API version, its query and its body', async () => {
  const seen: Seen[] = []
  await using server = await answering(201, '{"Id":"abc","Warnings":[]}', seen)
  const answer = await new EngineClient(server.path).containers.create({ Image: 'host' }, 'box')
  assert.deepEqual(answer, { Id: 'abc', Warnings: [] })
  assert.deepEqual(seen, [{ method: 'POST', url: '/v1.51/containers/create?name=box', body: '{"Image":"host"}' }])
})

test('a container without a name sends no empty one', async () => {
  const seen: Seen[] = []
  await using server = await answering(201, '{"Id":"abc","Warnings":[]}', seen)
  await new EngineClient(server.path).containers.create({ Image: 'host' }, '')
  assert.equal(seen[0]?.url, '/v1.51/containers/create')
})

test("Drydock's own calls have no version", async () => {
  const seen: Seen[] = []
  await using server = await answering(200, '{"Namespaces":[]}', seen)
  await new EngineClient(server.path).containers.namespaces('a/b')
  assert.equal(seen[0]?.url, '/drydock/containers/a%2Fb/namespaces')
})

test("the engine's own sentence and status come out of a failed call", async () => {
  await using server = await answering(409, '{"message":"cannot remove container: container is running"}')
  const failure = new EngineClient(server.path).containers.list()
  await assert.rejects(failure, new ApiError(409, 'cannot remove container: container is running'))
})

test('an error that is not JSON is given as it came, an empty one by its status', async () => {
  await using plain = await answering(500, 'out of paper\n')
  await assert.rejects(new EngineClient(plain.path).info(), new ApiError(500, 'out of paper'))
  await using empty = await answering(503, '')
  await assert.rejects(new EngineClient(empty.path).info(), new ApiError(503, 'The engine answered with status 503.'))
})

test('304, already as asked, is no failure', async () => {
  await using server = await answering(304, '')
  await new EngineClient(server.path).containers.act('abc', 'start')
})

test('removing what is gone or going is no failure; being refused is', async () => {
  await using gone = await answering(404, '{"message":"No such container: abc"}')
  await new EngineClient(gone.path).containers.remove('abc', true)
  await using going = await answering(409, '{"message":"removal of container abc is already in progress"}')
  await new EngineClient(going.path).containers.remove('abc', true)
  await using refused = await answering(409, '{"message":"container is running"}')
  await assert.rejects(new EngineClient(refused.path).containers.remove('abc', false), ApiError)
})

test('without a socket the sentence says where was looked and why it failed', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'drydock-face-'))
  try {
    const path = join(directory, 'nobody.sock')
    await assert.rejects(new EngineClient(path).ping(), (error) => {
      assert.ok(error instanceof UnreachableError)
      assert.equal(error.code, 'ENOENT')
      assert.equal(error.message, `The engine can't be reached at ${path}: the socket does not exist.`)
      return true
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a pull gives its lines, and throws the line that is an error', async () => {
  const lines =
    '{"status":"Pulling from library/node","id":"22"}\n{"errorDetail":{"message":"manifest unknown"},"error":"x"}\n'
  const seen: Seen[] = []
  await using server = await answering(200, lines, seen)
  const pull = new EngineClient(server.path).store.pull('node:22', AbortSignal.timeout(10_000))
  assert.deepEqual((await pull.next()).value, { status: 'Pulling from library/node', id: '22' })
  await assert.rejects(pull.next(), new ApiError(500, 'manifest unknown'))
  assert.equal(seen[0]?.url, '/v1.51/images/create?fromImage=node&tag=22')
})

test('a cancelled pull closes its connection', async () => {
  const closed = Promise.withResolvers<void>()
  const server = new SocketServer((_request, response) => {
    response.writeHead(200).write('{"status":"Downloading","id":"0123456789ab"}\n')
    response.once('close', () => closed.resolve())
  })
  await using listening = await server.listen()
  const abort = new AbortController()
  const pull = new EngineClient(listening.path).store.pull('node:22', abort.signal)
  await pull.next()
  abort.abort()
  await assert.rejects(pull.next(), isAbort)
  await closed.promise
})

test('an upgrade hands over a connection on which both sides speak, with bytes that came with the head', async () => {
  const server = new SocketServer(
    () => assert.fail('not an upgrade'),
    (request, socket) => {
      assert.equal(request.url, '/drydock/containers/abc/dial?port=9229')
      assert.equal(request.headers.upgrade, 'tcp')
      socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello ')
      socket.on('data', (chunk) => socket.end(String(chunk).toUpperCase()))
    },
  )
  await using listening = await server.listen()
  const { socket, multiplexed } = await new EngineClient(listening.path).containers.dial('abc', 9229)
  socket.write('world')
  assert.equal(await text(socket), 'hello WORLD')
  assert.equal(multiplexed, false)
})

test('the content type of an upgrade tells whether output is in frames', async () => {
  const server = new SocketServer(
    () => assert.fail('not an upgrade'),
    (_request, socket) =>
      socket.end(
        'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
      ),
  )
  await using listening = await server.listen()
  const { socket, multiplexed } = await new EngineClient(listening.path).containers.attach('abc')
  socket.destroy()
  assert.equal(multiplexed, true)
})

test('an upgrade that is refused keeps status and sentence', async () => {
  const server = new SocketServer(
    () => assert.fail('not an upgrade'),
    (_request, socket) => {
      const body = '{"message":"nothing listens on port 9229"}'
      socket.end(`HTTP/1.1 409 Conflict\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)
    },
  )
  await using listening = await server.listen()
  const dial = new EngineClient(listening.path).containers.dial('abc', 9229)
  await assert.rejects(dial, new ApiError(409, 'nothing listens on port 9229'))
})

test("a log without a terminal is taken out of Docker's frames", async () => {
  const frame = (stream: number, words: string): Buffer => {
    const header = Buffer.alloc(8)
    header[0] = stream
    header.writeUInt32BE(Buffer.byteLength(words), 4)
    return Buffer.concat([header, Buffer.from(words)])
  }
  const server = new SocketServer((request, response) => {
    if (request.url?.endsWith('/json')) response.end('{"Config":{"Tty":false}}')
    else response.end(Buffer.concat([frame(1, 'out\n'), frame(2, 'err\n')]))
  })
  await using listening = await server.listen()
  const chunks = await new EngineClient(listening.path).containers.logs('abc', 10, AbortSignal.timeout(10_000))
  let all = ''
  for await (const chunk of chunks) all += Buffer.from(chunk)
  assert.equal(all, 'out\nerr\n')
})
