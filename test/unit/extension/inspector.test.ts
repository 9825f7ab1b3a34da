import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { inspectorPath } from '../../../extension/debug/inspector.ts'
import { EngineClient } from '../../../extension/engine-client/client.ts'
import { SocketServer } from './socket-server.ts'

test('a Node that is frozen at its first line tells where its debugger goes', { timeout: 30_000 }, async () => {
  const node = spawn(process.execPath, ['--inspect-brk=127.0.0.1:0', '-e', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  try {
    const [words] = (await once(node.stderr, 'data')) as [Buffer]
    const [, port, path] = /ws:\/\/127\.0\.0\.1:(\d+)(\/\S+)/.exec(String(words)) ?? []
    let refusals = 2
    const server = new SocketServer(
      (_request, response) => response.end('{"State":{"Status":"running"}}'),
      (_request, socket) => {
        if (refusals-- > 0) {
          socket.end('HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
          return
        }
        socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
        const inside = connect(Number(port), '127.0.0.1')
        inside.on('error', () => socket.destroy())
        socket.on('error', () => inside.destroy())
        socket.once('close', () => inside.destroy())
        socket.pipe(inside).pipe(socket)
      },
    )
    await using listening = await server.listen()
    assert.equal(await inspectorPath(new EngineClient(listening.path), 'abc', 9229, 20_000), path)
    assert.ok(refusals < 0)
  } finally {
    node.kill('SIGKILL')
  }
})

test('a program that ended before the debugger came says with which code', { timeout: 10_000 }, async () => {
  const server = new SocketServer(
    (_request, response) => response.end('{"State":{"Status":"exited","ExitCode":9}}'),
    (_request, socket) => socket.end('HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'),
  )
  await using listening = await server.listen()
  const path = inspectorPath(new EngineClient(listening.path), 'abc', 9229, 5000)
  await assert.rejects(path, /ended with exit code 9 before the debugger could attach/)
})
