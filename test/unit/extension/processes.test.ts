import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineClient } from '../../../extension/engine-client/client.ts'
import { Console } from '../../../extension/terminal/console.ts'
import { findShell, firstProcess, leaveContainer } from '../../../extension/terminal/processes.ts'
import { SocketServer } from './socket-server.ts'

const upgraded = 'HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n'

test('a terminal outlives a restart of the engine, and ends with its process', { timeout: 20_000 }, async () => {
  let attached = 0
  const server = new SocketServer(
    (request, response) => {
      if (request.url?.includes('/wait')) {
        if (attached === 2) response.end('{"StatusCode":5}')
      } else if (request.url?.endsWith('/json')) response.end('{"State":{"Running":true}}')
      else response.writeHead(204).end()
    },
    (_request, socket) => {
      attached++
      socket.write(`${upgraded}attached ${attached}. `)
      if (attached === 2) socket.end()
    },
  )
  await using listening = await server.listen()
  let text = ''
  const ended = Promise.withResolvers<number | null>()
  const process = firstProcess(new EngineClient(listening.path), 'abc', async () => undefined)
  const shown = new Console(process, {
    write: (words) => {
      text += words
      if (text === 'attached 1. ') listening.cut()
    },
    ended: ended.resolve,
    failed: ended.reject,
  })
  void shown.open({ columns: 80, rows: 24 })
  assert.equal(await ended.promise, 5)
  assert.equal(text, 'attached 1. attached 2. ')
})

test('a container that can not be started fails with the words of the engine', async () => {
  const server = new SocketServer(
    (request, response) => {
      if (request.url?.endsWith('/start')) response.writeHead(400).end('{"message":"exec: nothing: not found"}')
    },
    (_request, socket) => socket.write(upgraded),
  )
  await using listening = await server.listen()
  const process = firstProcess(new EngineClient(listening.path), 'abc', async () => undefined)
  await assert.rejects(process.open(undefined), /exec: nothing: not found/)
})

test('the shell is the best that the container has', async () => {
  const has = async (...paths: string[]): Promise<string | undefined> => {
    const server = new SocketServer((request, response) => {
      const path = new URL(request.url ?? '', 'http://x').searchParams.get('path') ?? ''
      response.writeHead(paths.includes(path) ? 200 : 404).end()
    })
    await using listening = await server.listen()
    return await findShell(new EngineClient(listening.path), 'abc')
  }
  assert.equal(await has('/bin/sh', '/bin/bash'), '/bin/bash')
  assert.equal(await has('/bin/sh', '/bin/ash'), '/bin/sh')
  assert.equal(await has(), undefined)
})

test('a container that is left is stopped, and removed unless it is kept', async () => {
  const asked: string[] = []
  const server = new SocketServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.writeHead(204).end()
  })
  await using listening = await server.listen()
  const client = new EngineClient(listening.path)
  const gentle = ['POST /v1.51/containers/abc/kill?signal=SIGHUP', 'POST /v1.51/containers/abc/stop?t=3']
  await leaveContainer(client, 'abc', true, false)
  assert.deepEqual(asked.splice(0), gentle)
  await leaveContainer(client, 'abc', false, true)
  assert.deepEqual(asked.splice(0), ['DELETE /v1.51/containers/abc?force=1&v=1'])
  await leaveContainer(client, 'abc', false, false)
  assert.deepEqual(asked.splice(0, 2), gentle)
  assert.equal(asked.at(-1), 'DELETE /v1.51/containers/abc?force=1&v=1')
})
