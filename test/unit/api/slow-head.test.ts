import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Engine } from '../../../engine/api/engine.ts'
import { ApiServer } from '../../../engine/api/server.ts'

test('a head that does not come in time is answered, and its connection ends', async () => {
  const server = new ApiServer({} as Engine, [], { headersTimeout: 50, connectionsCheckingInterval: 20 })
  const path = join(tmpdir(), `drydock-slow-${process.pid}.sock`)
  server.http.listen(path)
  await once(server.http, 'listening')
  try {
    const socket = connect(path)
    socket.write('GET /_ping HTTP/1.1\r\nHost: x\r\nX-Slow: ')
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    assert.match(answer, /^HTTP\/1\.1 408 .*\r\nConnection: close\r\n\r\n\{"message":"request timeout: .*"\}\n$/s)
  } finally {
    await server.close()
  }
})
