/** The wire: headers, versions, and everything a client can get wrong. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { noEngine, rest, TestEngine, until } from './engine.ts'

describe('the protocol', { skip: noEngine }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  test('ping tells what clients negotiate by', async () => {
    const answer = await engine.call('GET', '/_ping')
    assert.equal(answer.status, 200)
    assert.equal(answer.text, 'OK')
    assert.equal(answer.headers['api-version'], '1.51')
    assert.equal(answer.headers.ostype, 'linux')
    assert.equal(answer.headers['docker-experimental'], 'false')
    assert.match(String(answer.headers.server), /^Docker\/.* \(linux\)$/)
    const head = await engine.call('HEAD', '/_ping')
    assert.equal(head.status, 200)
    assert.equal(head.headers['content-length'], '0')
    assert.equal(head.headers['content-type'], 'text/plain; charset=utf-8')
  })

  test('an error is a document whose type has no charset', async () => {
    const answer = await engine.call('GET', '/v1.51/containers/nobody/json')
    assert.equal(answer.status, 404)
    assert.equal(answer.headers['content-type'], 'application/json')
    assert.equal(answer.text, '{"message":"No such container: nobody"}\n')
    assert.equal(answer.headers['api-version'], '1.51')
  })

  for (const [method, path] of [
    ['GET', '/nothing/here'],
    ['PATCH', '/containers/json'],
    ['GET', '/v1.51'],
    ['DELETE', '/containers/json/x/archive'],
  ] as const)
    test(`unknown: ${method} ${path}`, async () => {
      const answer = await engine.call(method, path)
      assert.equal(answer.status, 404)
    })

  test('versions outside of what is spoken', async () => {
    const late = await engine.call('GET', '/v1.99/info')
    assert.deepEqual(
      [late.status, late.json().message],
      [400, 'client version 1.99 is too new. Maximum supported API version is 1.51'],
    )
    const early = await engine.call('GET', '/v1.12/info')
    assert.equal(early.status, 400)
    assert.match(
      String(early.json().message),
      /^client version 1\.12 is too old\. Minimum supported API version is 1\.22/,
    )
    assert.equal((await engine.call('GET', '/v1.22/info')).status, 200)
  })

  const create = '/containers/create'
  const type = { 'Content-Type': 'application/json' }
  for (const [what, call, sentence] of [
    ['broken JSON', { raw: Buffer.from('{"Image": '), headers: type }, /^invalid JSON: /],
    ['two documents', { raw: Buffer.from('{"Image":"host"} {}'), headers: type }, /^unexpected content after JSON$/],
    ['no JSON at all', { raw: Buffer.from('x'), headers: { 'Content-Type': 'text/plain' } }, /Content-Type/],
    ['a field of a wrong type', { body: { Image: 'host', Tty: 'yes' } }, /Tty/],
    ['no image', { body: {} }, /image/],
    [
      'an unknown mount type',
      { body: { Image: 'host', HostConfig: { Mounts: [{ Type: 'x', Target: '/y' }] } } },
      /mount type unknown/,
    ],
    ['an unknown restart policy', { body: { Image: 'host', HostConfig: { RestartPolicy: { Name: 'x' } } } }, /policy/],
  ] as const)
    test(`a body with ${what} is refused and changes nothing`, async () => {
      const answer = await engine.call('POST', create, call)
      assert.equal(answer.status, 400, answer.text)
      assert.match(String(answer.json().message), sentence)
      assert.deepEqual((await engine.call('GET', '/containers/json?all=1')).json(), [])
    })

  for (const [path, sentence] of [
    ['/containers/json?filters=%7B', 'invalid filter'],
    ['/containers/json?filters=%7B%22bogus%22%3A%5B%22x%22%5D%7D', "invalid filter 'bogus'"],
    ['/containers/json?limit=many', 'invalid number: "many"'],
    ['/containers/%zz/json', 'invalid percent-encoding in the path: /containers/%zz/json'],
    ['/events?since=20&until=10', '`since` time cannot be after `until` time'],
    ['/events?since=yesterday', 'invalid timestamp: "yesterday"'],
    ['/system/df?type=moon', 'unknown object type: moon'],
  ] as const)
    test(`refused: ${path}`, async () => {
      const answer = await engine.call('GET', path)
      assert.deepEqual([answer.status, answer.json().message], [400, sentence])
    })

  test('a missing image is the pull trigger', async () => {
    const answer = await engine.call('POST', create, { body: { Image: 'missing:1' } })
    assert.deepEqual([answer.status, answer.json().message], [404, 'No such image: missing:1'])
  })

  test('long heads are taken up to a mebibyte, then refused', async () => {
    const fine = await engine.call('GET', `/containers/json?x=${'a'.repeat(200_000)}`)
    assert.equal(fine.status, 200)
    const socket = await engine.wire()
    socket.on('error', () => {})
    socket.write(`GET /info HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(1_200_000)}\r\n\r\n`)
    const answer = (await rest(socket)).toString()
    assert.match(answer, /^HTTP\/1\.1 431 /)
    assert.match(answer, /request header fields too large/)
  })

  test('a long attach address is one that takes over, too', async () => {
    const socket = await engine.wire()
    socket.write(`POST /containers/nobody/attach?x=${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)
    assert.match((await rest(socket)).toString(), /^HTTP\/1\.1 404 [\s\S]*No such container: nobody/)
  })

  test('what is no HTTP gets a sentence', async () => {
    const socket = await engine.wire()
    socket.write('hello?\r\n\r\n')
    const answer = (await rest(socket)).toString()
    assert.match(answer, /^HTTP\/1\.1 400 /)
    assert.match(answer, /malformed HTTP request/)
  })

  test('an upgrade that no route wants is ignored', async () => {
    const answer = await engine.call('GET', '/_ping', { headers: { Connection: 'Upgrade', Upgrade: 'h2c' } })
    assert.deepEqual([answer.status, answer.text], [200, 'OK'])
  })

  test('several requests on one connection', async () => {
    const socket = await engine.wire()
    socket.write('GET /_ping HTTP/1.1\r\nHost: x\r\n\r\nGET /_ping HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(socket, 'OK')
    socket.write('GET /version HTTP/1.1\r\nHost: x\r\n\r\n')
    await until(socket, '"ApiVersion":"1.51"')
    socket.destroy()
  })

  test('nulls are what Go makes of them', async () => {
    const body = {
      Image: 'host',
      Cmd: ['true'],
      Env: null,
      Volumes: null,
      ExposedPorts: { '80/tcp': null },
      HostConfig: { Binds: null, PidsLimit: null, NetworkMode: 'none', PortBindings: null },
      NetworkingConfig: { EndpointsConfig: null },
    }
    const answer = await engine.call('POST', `${create}?name=nulls`, { body })
    assert.equal(answer.status, 201, answer.text)
    const inspected = (await engine.call('GET', '/containers/nulls/json')).json<{ Config: { ExposedPorts: object } }>()
    assert.deepEqual(inspected.Config.ExposedPorts, { '80/tcp': {} })
    assert.equal((await engine.call('DELETE', '/containers/nulls')).status, 204)
  })

  test('parts that one machine does not have say so', async () => {
    assert.equal((await engine.call('GET', '/services')).status, 503)
    assert.deepEqual((await engine.call('GET', '/plugins')).json(), [])
    assert.equal((await engine.call('POST', '/swarm/init', { body: {} })).status, 501)
  })
})
