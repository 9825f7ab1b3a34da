import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineClient } from '../../../extension/engine-client/client.ts'
import type { EngineEvent } from '../../../extension/engine-client/engine-event.ts'
import { UnreachableError } from '../../../extension/engine-client/errors.ts'
import { delayOf, followEvents, sinceOf, timeOf } from '../../../extension/engine-client/event-stream.ts'
import { SocketServer } from './socket-server.ts'

const line = (action: string, nanos: bigint): string =>
  `{"Type":"container","Action":"${action}","Actor":{"ID":"a","Attributes":{}},"scope":"local","time":1,"timeNano":${nanos}}\n`

test('a nanosecond time is read exactly, and written as seconds with nine digits', () => {
  assert.equal(timeOf(line('start', 1_700_000_000_000_000_001n)), 1_700_000_000_000_000_001n)
  assert.equal(sinceOf(1_700_000_000_000_000_001n), '1700000000.000000001')
  assert.equal(timeOf('{"Type":"container"}'), null)
})

test('the wait doubles, and stops growing at fifteen seconds', () => {
  assert.deepEqual([0, 1, 2, 6, 1000].map(delayOf), [250, 500, 1000, 15_000, 15_000])
})

test('after a cut it asks for what it missed, and tells a replayed event once', { timeout: 20_000 }, async () => {
  const asked: (string | undefined)[] = []
  const first = 1_700_000_000_000_000_001n
  const server = new SocketServer((request, response) => {
    asked.push(request.url)
    response.writeHead(200)
    if (asked.length === 1) {
      response.write(line('create', first))
      response.write(line('start', first + 1n))
    } else response.write(line('start', first + 1n) + line('die', first + 2n))
  })
  await using listening = await server.listen()
  const client = new EngineClient(listening.path)
  const abort = new AbortController()
  const told: string[] = []
  await followEvents(
    { open: (since, signal) => client.events(since, signal) },
    {
      connected: () => told.push('connected'),
      event: (event: EngineEvent) => {
        told.push(event.Action)
        if (event.Action === 'start') listening.cut()
        if (event.Action === 'die') abort.abort()
      },
      lost: () => told.push('lost'),
    },
    abort.signal,
  )
  assert.deepEqual(told, ['connected', 'create', 'start', 'lost', 'connected', 'die'])
  assert.deepEqual(asked, ['/v1.51/events', '/v1.51/events?since=1700000000.000000002'])
})

test('without a socket it says why, and ends when it is told to', { timeout: 20_000 }, async () => {
  const client = new EngineClient('/nonexistent/engine.sock')
  const abort = new AbortController()
  const failures: unknown[] = []
  await followEvents(
    { open: (since, signal) => client.events(since, signal) },
    {
      connected: () => assert.fail('nobody is there'),
      event: () => assert.fail('nobody is there'),
      lost: (error) => {
        failures.push(error)
        if (failures.length === 2) abort.abort()
      },
    },
    abort.signal,
  )
  assert.ok(failures.every((error) => error instanceof UnreachableError && error.code === 'ENOENT'))
})
