/** What flows in and out of containers: attach and exec in both of Docker's forms, logs, wait, events. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { noEngine, rest, TestEngine, unframe, until } from './engine.ts'

const upgrade = 'Connection: Upgrade\r\nUpgrade: tcp\r\n'

/** The bytes behind the head of a response that was read as a whole. */
const bodyOf = (bytes: Buffer): Buffer => bytes.subarray(bytes.indexOf('\r\n\r\n') + 4)
const headOf = (bytes: Buffer): string => bytes.toString('latin1', 0, bytes.indexOf('\r\n\r\n'))

describe('streams', { skip: noEngine }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  /** A container that reads its input, made but not started. */
  async function created(name: string, command: string[], more: Record<string, unknown> = {}): Promise<void> {
    const body = {
      Image: 'host',
      Cmd: command,
      OpenStdin: true,
      StdinOnce: true,
      HostConfig: { NetworkMode: 'none' },
      ...more,
    }
    const answer = await engine.call('POST', `/containers/create?name=${name}`, { body })
    assert.equal(answer.status, 201, answer.text)
  }

  async function attached(
    name: string,
    headers: string,
    query = 'stream=1&stdin=1&stdout=1&stderr=1',
  ): Promise<Socket> {
    const socket = await engine.wire()
    socket.write(`POST /v1.51/containers/${name}/attach?${query} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`)
    return socket
  }

  test('attach with an upgrade, before the start: all output, frames, half-close', async () => {
    await created('upgraded', ['sh', '-c', 'cat; echo oops >&2'])
    const socket = await attached('upgraded', upgrade)
    const head = await until(socket, '\r\n\r\n')
    assert.match(head, /^HTTP\/1\.1 101 UPGRADED\r\n/)
    assert.match(head, /\r\nContent-Type: application\/vnd\.docker\.multiplexed-stream\r\n/)
    assert.match(head, /\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n/)
    assert.equal((await engine.call('POST', '/containers/upgraded/start')).status, 204)
    socket.end('to the cat\n')
    assert.deepEqual(unframe(await rest(socket)), { stdout: 'to the cat\n', stderr: 'oops\n' })
    await engine.call('DELETE', '/containers/upgraded?force=1')
  })

  test('attach without an upgrade: raw bytes behind a 200, input that came with the head is not lost', async () => {
    await created('plain', ['cat'])
    const socket = await engine.wire()
    socket.write(
      'POST /containers/plain/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}early ',
    )
    const head = await until(socket, '\r\n\r\n')
    assert.match(head, /^HTTP\/1\.1 200 OK\r\n/)
    assert.match(head, /Content-Type: application\/vnd\.docker\.raw-stream/)
    assert.doesNotMatch(head, /Content-Length|Transfer-Encoding/i)
    assert.equal((await engine.call('POST', '/containers/plain/start')).status, 204)
    socket.end('late\n')
    assert.equal(unframe(await rest(socket)).stdout, 'early late\n')
    await engine.call('DELETE', '/containers/plain?force=1')
  })

  test('attach without an upgrade, input in chunks: the frames of HTTP are taken off', async () => {
    await created('chunked', ['cat'])
    const socket = await attached('chunked', 'Transfer-Encoding: chunked\r\n')
    await until(socket, '\r\n\r\n')
    assert.equal((await engine.call('POST', '/containers/chunked/start')).status, 204)
    socket.write('3\r\none\r\n4;note=x\r\n two\r')
    socket.write('\n0\r\n\r\n')
    assert.equal(unframe(await rest(socket)).stdout, 'one two')
    socket.destroy()
    await engine.call('DELETE', '/containers/chunked?force=1')
  })

  test('a megabyte through a container, both ways at once', async () => {
    await created('wide', ['cat'])
    const socket = await attached('wide', upgrade)
    await until(socket, '\r\n\r\n')
    assert.equal((await engine.call('POST', '/containers/wide/start')).status, 204)
    const much = Buffer.alloc(1024 * 1024, 'abcdefgh')
    const whole = rest(socket)
    socket.end(much)
    assert.equal(unframe(await whole).stdout, much.toString())
    await engine.call('DELETE', '/containers/wide?force=1')
  })

  test('attach with the log before: each line once, and the begun one from its start', async () => {
    await created('counts', [
      'sh',
      '-c',
      'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; done; printf begun; read end',
    ])
    const whole: Promise<string>[] = []
    const listen = async (): Promise<void> => {
      const socket = await attached('counts', upgrade, 'logs=1&stream=1&stdout=1')
      await once(socket, 'readable')
      whole.push(rest(socket).then((bytes) => unframe(bodyOf(bytes)).stdout))
    }
    await listen()
    assert.equal((await engine.call('POST', '/containers/counts/start')).status, 204)
    // While it writes, and when the rest of a line is still to come.
    for (let time = 0; time < 6; time += 1) {
      await listen()
      await sleep(5)
    }
    const said = async () => unframe((await engine.call('GET', '/containers/counts/logs?stdout=1&tail=1')).body).stdout
    while ((await said()) !== '3000\n') await sleep(20)
    await listen()
    await engine.call('POST', '/containers/counts/stop?t=0')
    const wanted = `${Array.from({ length: 3000 }, (_, at) => `${at + 1}\n`).join('')}begun`
    for (const [at, text] of (await Promise.all(whole)).entries()) assert.equal(text, wanted, `client ${at}`)
    await engine.call('DELETE', '/containers/counts?force=1')
  })

  test('attach to what does not exist is an error document', async () => {
    const socket = await attached('nobody', upgrade)
    const answer = await rest(socket)
    assert.match(headOf(answer), /^HTTP\/1\.1 404 /)
    assert.equal(bodyOf(answer).toString(), '{"message":"No such container: nobody"}\n')
    const keys = await attached('nobody', upgrade, 'detachKeys=ctrl-nope')
    assert.match((await rest(keys)).toString(), /HTTP\/1\.1 4\d\d /)
  })

  test('a client that vanishes amid an attach costs the container nothing', async () => {
    await created('left', ['sh', '-c', 'read word; echo "$word"; exec sleep 600'], { StdinOnce: false })
    const socket = await attached('left', upgrade)
    await until(socket, '\r\n\r\n')
    assert.equal((await engine.call('POST', '/containers/left/start')).status, 204)
    socket.destroy()
    const other = await attached('left', upgrade)
    await until(other, '\r\n\r\n')
    other.write('still here\n')
    await until(other, 'still here')
    other.destroy()
    const state = (await engine.call('GET', '/containers/left/json')).json<{ State: { Running: boolean } }>()
    assert.equal(state.State.Running, true)
    await engine.call('DELETE', '/containers/left?force=1')
  })

  async function execId(container: string, body: Record<string, unknown>): Promise<string> {
    const answer = await engine.call('POST', `/containers/${container}/exec`, { body })
    assert.equal(answer.status, 201, answer.text)
    return answer.json<{ Id: string }>().Id
  }

  async function startedExec(id: string, headers: string, body: string, input = ''): Promise<Socket> {
    const socket = await engine.wire()
    const length = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`
    socket.write(`POST /v1.51/exec/${id}/start HTTP/1.1\r\nHost: x\r\n${length}${headers}\r\n${body}${input}`)
    return socket
  }

  test('exec: both forms, its exit code is there when its stream has ended', async () => {
    await engine.run('box', ['sleep', '600'])
    const all = { AttachStdin: true, AttachStdout: true, AttachStderr: true }
    const first = await execId('box', { ...all, Cmd: ['sh', '-c', 'cat; echo err >&2; exit 7'] })
    const socket = await startedExec(first, upgrade, '{"Detach":false,"Tty":false}', 'in one piece')
    socket.end()
    const answer = await rest(socket)
    assert.match(
      headOf(answer),
      /^HTTP\/1\.1 101 UPGRADED\r\nContent-Type: application\/vnd\.docker\.multiplexed-stream/,
    )
    assert.deepEqual(unframe(bodyOf(answer)), { stdout: 'in one piece', stderr: 'err\n' })
    const inspected = (await engine.call('GET', `/exec/${first}/json`)).json<{ ExitCode: number; Running: boolean }>()
    assert.deepEqual([inspected.ExitCode, inspected.Running], [7, false])
    const second = await execId('box', { ...all, Cmd: ['echo', 'plain'] })
    const plain = await rest(await startedExec(second, '', '{}'))
    assert.match(headOf(plain), /^HTTP\/1\.1 200 OK/)
    assert.equal(unframe(bodyOf(plain)).stdout, 'plain\n')
  })

  test('exec: what cannot be started says so in its stream', async () => {
    const id = await execId('box', { AttachStdout: true, Cmd: ['/no/such/program'] })
    const answer = await rest(await startedExec(id, upgrade, '{}'))
    assert.match(headOf(answer), /^HTTP\/1\.1 101 /)
    assert.match(unframe(bodyOf(answer)).stdout, /no such file or directory/)
    assert.equal((await engine.call('GET', `/exec/${id}/json`)).json().ExitCode, 127)
  })

  test('exec: refusals', async () => {
    const none = await engine.call('POST', '/containers/box/exec', { body: { Cmd: [] } })
    assert.deepEqual([none.status, none.json().message], [400, 'No exec command specified'])
    const unknown = await engine.call('POST', '/exec/nope/start', { body: {} })
    assert.equal(unknown.status, 404)
    const broken = await rest(await startedExec('nope', upgrade, '{"Detach":'))
    assert.match(broken.toString(), /^HTTP\/1\.1 400 [\s\S]*invalid JSON/)
    const size = await engine.call('POST', '/exec/nope/resize?h=x&w=1')
    assert.equal(size.status, 400)
  })

  test('exec: detached, and not twice', async () => {
    const id = await execId('box', { Cmd: ['true'] })
    const answer = await engine.call('POST', `/exec/${id}/start`, { body: { Detach: true } })
    assert.deepEqual([answer.status, answer.text], [200, ''])
    const again = await engine.call('POST', `/exec/${id}/start`, { body: { Detach: true } })
    assert.equal(again.status, 409)
  })

  test('logs: frames, tail, a choice of streams; follow ends with the container', async () => {
    await engine.run('talker', ['sh', '-c', 'echo one; echo two; echo bad >&2'])
    const followed = await engine.call('GET', '/containers/talker/logs?stdout=1&stderr=1&follow=1')
    assert.equal(followed.headers['content-type'], 'application/vnd.docker.multiplexed-stream')
    assert.deepEqual(unframe(followed.body), { stdout: 'one\ntwo\n', stderr: 'bad\n' })
    const tail = unframe((await engine.call('GET', '/containers/talker/logs?stdout=1&stderr=1&tail=1')).body)
    assert.equal((tail.stdout + tail.stderr).split('\n').length, 2)
    assert.deepEqual(unframe((await engine.call('GET', '/containers/talker/logs?stderr=1')).body), {
      stdout: '',
      stderr: 'bad\n',
    })
    const neither = await engine.call('GET', '/containers/talker/logs')
    assert.deepEqual(
      [neither.status, neither.json().message],
      [400, 'Bad parameters: you must choose at least one stream'],
    )
  })

  test('wait answers its head at once and its body at the end', async () => {
    await created('ender', ['sh', '-c', 'read code; exit "$code"'])
    const response = await engine.open('POST', '/containers/ender/wait?condition=next-exit')
    assert.equal(response.statusCode, 200)
    assert.equal(response.headers['content-type'], 'application/json')
    const socket = await attached('ender', upgrade)
    await until(socket, '\r\n\r\n')
    await engine.call('POST', '/containers/ender/start')
    socket.end('5\n')
    assert.deepEqual(JSON.parse((await rest(response)).toString()), { StatusCode: 5 })
    const wrong = await engine.call('POST', '/containers/ender/wait?condition=bored')
    assert.deepEqual([wrong.status, wrong.json().message], [400, 'invalid condition: "bored"'])
    socket.destroy()
  })

  test('events: head at once, live ones, the past, filters', async () => {
    const filters = encodeURIComponent(JSON.stringify({ type: { container: true }, label: { 'a=b': true } }))
    const response = await engine.open('GET', `/events?filters=${filters}`)
    assert.equal(response.statusCode, 200)
    await engine.run('unheard', ['true'])
    await engine.run('heard', ['true'], { Labels: { a: 'b' } })
    const seen = await until(response, '"Action":"die"')
    const found = seen
      .trim()
      .split('\n')
      .map(
        (line) =>
          JSON.parse(line) as { Action: string; status: string; from: string; Actor: { Attributes: { name: string } } },
      )
    assert.deepEqual(
      found.map(({ Action, Actor }) => [Action, Actor.Attributes.name]),
      [
        ['create', 'heard'],
        ['start', 'heard'],
        ['die', 'heard'],
      ],
    )
    assert.deepEqual([found[0]?.status, found[0]?.from], ['create', 'host'])
    response.destroy()
    const until_ = Math.floor(Date.now() / 1000) + 1
    const past = await engine.call(
      'GET',
      `/events?since=1&until=${until_}&filters=${encodeURIComponent('{"container":["heard"]}')}`,
    )
    assert.ok(past.text.split('\n').filter(Boolean).length >= 3, past.text)
  })
})
