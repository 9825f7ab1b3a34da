/** Attaching over a WebSocket, by clients that nobody here wrote: undici's, and that of ws. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { Agent, WebSocket } from 'undici'
import { WebSocket as OtherSocket } from 'ws'
import { noEngine, rest, TestEngine } from './engine.ts'

describe('attach over a WebSocket', { skip: noEngine }, () => {
  let engine: TestEngine
  let dispatcher: Agent
  before(async () => {
    engine = await TestEngine.start()
    dispatcher = new Agent({ connect: { socketPath: engine.socket } })
  })
  after(async () => {
    await dispatcher?.destroy()
    await engine?.[Symbol.asyncDispose]()
  })

  async function created(name: string, command: string, more: object = {}): Promise<void> {
    const body = { Image: 'host', Cmd: ['sh', '-c', command], OpenStdin: true, HostConfig: { NetworkMode: 'none' } }
    const answer = await engine.call('POST', `/containers/create?name=${name}`, { body: { ...body, ...more } })
    assert.equal(answer.status, 201, answer.text)
  }
  const remove = (name: string) => engine.call('DELETE', `/containers/${name}?force=1`)

  type Conversation = { socket: WebSocket; heard: () => string; closed: Promise<number> }

  async function opened(path: string): Promise<Conversation> {
    const socket = new WebSocket(`ws://localhost${path}`, { dispatcher })
    socket.binaryType = 'arraybuffer'
    const chunks: Buffer[] = []
    socket.addEventListener('message', ({ data }) => {
      assert.ok(data instanceof ArrayBuffer, 'a message is binary')
      chunks.push(Buffer.from(data))
    })
    const closed = new Promise<number>((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)))
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve)
      socket.addEventListener('error', reject)
    })
    return { socket, heard: () => Buffer.concat(chunks).toString(), closed }
  }

  test('both outputs without frames, input as text and as bytes, a close at the end', async () => {
    await created('talking', 'head -n 2; echo oops >&2; head -c 200000 /dev/zero', { StdinOnce: true })
    const { socket, heard, closed } = await opened(
      '/v1.51/containers/talking/attach/ws?stream=1&stdin=1&stdout=1&stderr=1',
    )
    assert.equal((await engine.call('POST', '/containers/talking/start')).status, 204)
    socket.send('as text\n')
    socket.send(Buffer.from('as bytes\n'))
    assert.equal(await closed, 1005)
    assert.match(heard(), /^(?=.*oops\n)as text\nas bytes\n/s)
    assert.equal(heard().replace('oops\n', '').length, 'as text\nas bytes\n'.length + 200000)
    await remove('talking')
  })

  test('the streams that were asked for; all three before API 1.42', async () => {
    const command = 'echo out; echo err >&2; read line; echo $line'
    for (const [version, output] of [
      ['v1.51', 'out\n'],
      ['v1.41', 'out\nerr\nsaid\n'],
    ] as const) {
      await created('chosen', command)
      const { socket, heard, closed } = await opened(`/${version}/containers/chosen/attach/ws?stream=1&stdout=1`)
      assert.equal((await engine.call('POST', '/containers/chosen/start')).status, 204)
      socket.send('said\n')
      // Input that nobody asked for does not arrive: the container waits for its line.
      if (version === 'v1.51') {
        while (heard() !== 'out\n') await new Promise((resolve) => setTimeout(resolve, 10))
        await engine.call('POST', '/containers/chosen/kill')
      }
      await closed
      assert.equal(
        [...heard().split(/(?<=\n)/)].sort().join(''),
        output
          .split(/(?<=\n)/)
          .sort()
          .join(''),
      )
      await remove('chosen')
    }
  })

  test('a terminal with its log; the client goes, the container stays', async () => {
    await created('terminal', 'echo before; read a; echo got $a; read b', { Tty: true })
    assert.equal((await engine.call('POST', '/containers/terminal/start')).status, 204)
    const first = await opened('/containers/terminal/attach/ws?logs=1&stream=1&stdin=1&stdout=1')
    first.socket.send('one\n')
    while (!first.heard().includes('got one')) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.match(first.heard(), /^before\r\n/)
    first.socket.close()
    await first.closed
    const state = (await engine.call('GET', '/containers/terminal/json')).json<{ State: { Running: boolean } }>().State
    assert.equal(state.Running, true)
    await remove('terminal')
  })

  test('what is refused is refused in HTTP', async () => {
    await created('quiet', 'true')
    const missing = await engine.call('GET', '/containers/nobody/attach/ws')
    assert.deepEqual([missing.status, missing.text], [404, '{"message":"No such container: nobody"}\n'])
    const plain = await engine.call('GET', '/containers/quiet/attach/ws?stream=1')
    assert.equal(plain.status, 400)
    assert.match(plain.text, /no WebSocket handshake: Invalid Upgrade header/)
    const keys = await engine.call('GET', '/containers/quiet/attach/ws?stream=1&detachKeys=nonsense')
    assert.equal(keys.status, 400)
    for (const [origin, expected] of [
      ['http://evil.example', 403],
      ['null', 403],
      ['http://localhost', 101],
    ] as const) {
      const client = new OtherSocket(`ws+unix:${engine.socket}:/containers/quiet/attach/ws?stream=1`, { origin })
      const [name, response] = await Promise.race([
        once(client, 'upgrade').then(([response]) => ['upgrade', response]),
        once(client, 'unexpected-response').then(([, response]) => ['refused', response]),
      ])
      assert.equal(response.statusCode, expected, `${origin}: ${name}`)
      if (name === 'refused') assert.match((await rest(response)).toString(), /pages of .* may not attach/)
      client.on('error', () => {})
      client.terminate()
    }
    await remove('quiet')
  })

  test('a message that is none ends the connection, and the engine goes on', async () => {
    await created('robust', 'cat')
    const socket = await engine.wire()
    socket.write(
      'GET /containers/robust/attach/ws?stream=1&stdin=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    const [head] = await once(socket, 'data')
    assert.match(head.toString(), /^HTTP\/1\.1 101 .*\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/s)
    // Not masked, and of a length beyond any limit.
    socket.write(Buffer.from([0x82, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))
    await rest(socket)
    assert.equal((await engine.call('GET', '/_ping')).status, 200)
    await remove('robust')
  })
})
