/** Requests that no honest client sends: each is refused in a sentence, and the engine goes on answering others. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { noEngine, rest, TestEngine, until } from './engine.ts'
import { startHostile } from './registry-hostile.ts'

const upgrade = 'Connection: Upgrade\r\nUpgrade: tcp\r\n'
const filters = (value: object): string => `filters=${encodeURIComponent(JSON.stringify(value))}`

describe('a hostile client', { skip: noEngine }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
    await engine.call('POST', '/containers/create?name=one', {
      body: { Image: 'host', Cmd: ['cat'], OpenStdin: true, HostConfig: { NetworkMode: 'none' } },
    })
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  async function told(method: string, path: string, call: Parameters<TestEngine['call']>[2] = {}): Promise<string> {
    const { status, text } = await engine.call(method, path, call)
    return status < 300 ? String(status) : `${status} ${JSON.parse(text).message}`
  }
  const json = (text: string) => ({ raw: Buffer.from(text), headers: { 'Content-Type': 'application/json' } })

  test('paths that patterns would be tried on for minutes', async () => {
    const long = '400 invalid path: more than 8192 characters'
    assert.equal(await told('DELETE', `/containers/${'x/checkpoints/'.repeat(70_000)}%0a`), long)
    assert.equal(await told('GET', `/containers/${'x/json/'.repeat(140_000)}z`), long)
    assert.match(await told('DELETE', `/containers/${'x/checkpoints/'.repeat(500)}%0a`), /^(404|501) /)
    assert.match(await told('GET', '/containers/%ff/json'), /^400 invalid percent-encoding/)
  })

  test('expressions that never end, on ids, names and labels', async () => {
    const slow = { id: ['([0-9a-f]+)+z'] }
    assert.match(await told('GET', `/containers/json?all=1&${filters(slow)}`), /^400 the expression .* takes too long/)
    assert.match(await told('GET', `/networks?${filters(slow)}`), /^400 the expression .* takes too long/)
    const reference = [`${'*a'.repeat(200)}b`]
    assert.equal(await told('GET', `/images/json?${filters({ reference })}`), '200')
    assert.equal(await told('GET', `/images/json?${filters({ reference: ['['] })}`), '400 syntax error in pattern')
    const LogConfig = { Type: 'json-file', Config: { 'labels-regex': '(a+)+$' } }
    const body = {
      Image: 'host',
      Labels: { [`${'a'.repeat(60)}!`]: '' },
      HostConfig: { NetworkMode: 'none', LogConfig },
    }
    assert.equal(await told('POST', '/containers/create?name=logs', { body }), '201')
    assert.match(await told('POST', '/containers/logs/start'), /^400 .*takes too long/)
    assert.equal(await told('DELETE', '/containers/logs'), '204')
  })

  test('bodies that take more memory than they have bytes', async () => {
    const deep = `{"Labels":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`
    assert.equal(
      await told('POST', '/containers/create', json(deep)),
      '400 invalid JSON: it is nested more than 64 levels deep',
    )
    const wide = `{"x":[${'[],'.repeat(2_000_000)}[]]}`
    assert.equal(
      await told('POST', '/containers/create', json(wide)),
      '400 request body too large: more than 4194304 bytes',
    )
    const auth = { 'X-Registry-Auth': Buffer.from('['.repeat(500_000)).toString('base64') }
    assert.match(await told('POST', '/images/create?fromImage=127.0.0.1:1/x&tag=1', { headers: auth }), /^503 /)
    assert.match(await told('GET', `/containers/json?${'all=1&'.repeat(100_000)}`), /^400 invalid query: more than/)
  })

  test('names of prototypes are names', async () => {
    const text =
      '{"Image":"host","Labels":{"__proto__":"x","constructor":"y"},"__proto__":{"Image":"no"},"HostConfig":{"NetworkMode":"none"}}'
    assert.equal(await told('POST', '/containers/create?name=named', json(text)), '201')
    const { Config } = (await engine.call('GET', '/containers/named/json')).json<{ Config: { Labels: object } }>()
    assert.deepEqual(Config.Labels, { constructor: 'y' })
    assert.equal(await told('DELETE', '/containers/named'), '204')
    const host = (more: object) => ({ body: { Image: 'host', HostConfig: { NetworkMode: 'none', ...more } } })
    const create = (more: object) => told('POST', '/containers/create', host(more))
    assert.match(await create({ LogConfig: { Type: 'constructor' } }), /^400 logger: no log driver named 'constructor'/)
    assert.match(await create({ LogConfig: { Config: { toString: 'x' } } }), /^400 unknown log opt 'toString'/)
    assert.match(await create({ LogConfig: { Config: { tag: '{{.constructor}}' } } }), /^400 tag: /)
    for (const field of ['IpcMode', 'PidMode', 'Runtime', 'CgroupnsMode'])
      assert.match(await create({ [field]: 'constructor' }), /^400 /)
    assert.match(await told('POST', '/containers/one/kill?signal=constructor'), /^400 invalid signal/)
  })

  test('a NUL, where the kernel would see an end', async () => {
    assert.match(await told('GET', '/containers/one%00/json'), /^400 invalid path: a NUL/)
    assert.match(await told('GET', '/containers/one/archive?path=/etc%00x'), /^400 invalid query parameter path: a NUL/)
    for (const body of [
      { Image: 'host', HostConfig: { Binds: ['/tmp\0x:/m'] } },
      { Image: 'host', Cmd: ['a\0b'] },
      { Image: 'host', Labels: { 'a\0b': '' } },
    ])
      assert.equal(await told('POST', '/containers/create', { body }), '400 invalid JSON: a NUL character in a text')
    // Not one: a backslash, and what follows it.
    assert.equal(await told('POST', '/volumes/create', json('{"Name":"plain","Labels":{"a":"\\\\u0000"}}')), '201')
    assert.equal(await told('DELETE', '/volumes/plain'), '204')
  })

  test('numbers beyond all clocks', async () => {
    const nines = '9'.repeat(400)
    assert.match(await told('GET', `/containers/json?limit=${nines}`), /^400 invalid number/)
    assert.match(await told('GET', `/events?until=${nines}`), /^400 invalid timestamp/)
    assert.match(await told('GET', `/containers/one/logs?stdout=1&since=${nines}`), /^400 invalid timestamp/)
    assert.equal(await told('GET', `/containers/one/logs?stdout=1&tail=${nines}`), '200')
    const size = { body: { Image: 'host', HostConfig: { ConsoleSize: [70_000, -1] } } }
    assert.match(await told('POST', '/containers/create', size), /^400 invalid request body HostConfig.ConsoleSize/)
    // 31 years are more than a timer takes: it would be over at once.
    await engine.run('patient', ['sleep', '600'])
    const stopped = told('POST', '/containers/patient/stop?t=999999999&signal=CONT')
    assert.equal(await Promise.race([stopped, sleep(1000, 'waiting')]), 'waiting')
    await told('POST', '/containers/patient/kill')
    assert.equal(await stopped, '204')
    await told('DELETE', '/containers/patient')
    const ports = { ExposedPorts: { '7/sctp': {} }, HostConfig: { PortBindings: { '7/sctp': [{ HostPort: '7' }] } } }
    assert.match(
      await told('POST', '/containers/create', { body: { Image: 'host', ...ports } }),
      /^400 cannot publish 7\/sctp/,
    )
  })

  test('credentials with a line of their own in them', async () => {
    await using registry = await startHostile()
    for (const auth of [{ registrytoken: 'a\r\nX-Evil: y' }, { username: 'a\r\nX-Evil: y', password: 'b' }]) {
      const headers = { 'X-Registry-Auth': Buffer.from(JSON.stringify(auth)).toString('base64') }
      assert.match(await told('POST', `/images/create?fromImage=${registry.host}/x&tag=1`, { headers }), /^[45]\d\d /)
    }
    assert.ok(registry.asked.every(({ headers }) => headers['x-evil'] === undefined))
  })

  test('two lengths, a method of proxies, an upgrade where there is none', async () => {
    const said = async (text: string): Promise<string> => {
      const socket = await engine.wire()
      socket.end(text)
      return (await rest(socket)).toString()
    }
    const both = 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n'
    assert.match(
      await said(`POST /containers/one/attach HTTP/1.1\r\nHost: x\r\n${both}\r\n0\r\n\r\n`),
      /^HTTP\/1\.1 400 /,
    )
    assert.match(await said('CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1\.1 404 /)
    assert.match(await said(`GET /_ping HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`), /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nOK$/s)
    const lines = 'GET /_ping HTTP/1.1\r\nHost: x\r\nX: a\nY: b\r\n\r\n'
    assert.match(await said(lines), /^HTTP\/1\.1 400 /)
  })

  test('the end of a chunked body that comes late is no input of the container', async () => {
    await engine.call('POST', '/containers/one/start')
    const { Id } = (
      await engine.call('POST', '/containers/one/exec', {
        body: { Cmd: ['cat', '-A'], AttachStdin: true, AttachStdout: true },
      })
    ).json<{ Id: string }>()
    const socket = await engine.wire()
    const head = `POST /exec/${Id}/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n${upgrade}\r\n`
    socket.write(`${head}2\r\n{}\r\n0\r\nTrailer: x\r\n`)
    await sleep(50)
    socket.write('\r\n')
    await until(socket, '\r\n\r\n')
    socket.end('typed\n')
    assert.match((await rest(socket)).toString('latin1'), /^.{8}typed\$\n$/s)
    await engine.call('POST', '/containers/one/kill')
  })

  test('an upload that is refused is told so, while it is still being sent', async () => {
    const endless = new Readable({ read() {} })
    const feeding = setInterval(() => endless.push(Buffer.alloc(65_536)), 1)
    try {
      const response = await engine.open('PUT', '/containers/nobody/archive?path=/', { raw: endless })
      assert.equal(response.statusCode, 404)
      response.resume()
    } finally {
      clearInterval(feeding)
      endless.destroy()
    }
    const damaged = Buffer.concat([Buffer.from('BZh9'), Buffer.alloc(3_000_000, 1)])
    const answer = await engine.call('PUT', '/containers/one/archive?path=/srv', { raw: damaged })
    assert.deepEqual([answer.status, /bzip2 data is damaged/.test(answer.text)], [400, true], answer.text)
  })

  test('one who goes on sending after the answer meets no closed connection', async () => {
    const socket = connect({ path: engine.socket, allowHalfOpen: true })
    socket.on('error', () => {})
    const send = (words: string): Promise<void> =>
      new Promise((resolve, reject) => socket.write(words, (error) => (error ? reject(error) : resolve())))
    try {
      let said = ''
      socket.on('data', (chunk) => (said += chunk))
      const ended = once(socket, 'end')
      const head = 'PUT /containers/nobody/archive?path=/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n'
      await send(`${head}Transfer-Encoding: chunked\r\n\r\n8\r\nand more\r\n`)
      await ended
      assert.match(said, /^HTTP\/1.1 404 /)
      // One that closes does it in the same moment.
      await sleep(50)
      await send('8\r\nand more\r\n')
    } finally {
      socket.destroy()
    }
  })

  test('many who say nothing, or half of something, keep nobody else waiting', async () => {
    const idle = Array.from({ length: 300 }, (_, index) => {
      const socket = connect(engine.socket)
      socket.on('error', () => {})
      if (index % 2 === 0)
        socket.write('POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{"Image"')
      return socket
    })
    try {
      assert.equal(await told('GET', '/_ping'), '200')
    } finally {
      for (const socket of idle) socket.destroy()
    }
  })
})
