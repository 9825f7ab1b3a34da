import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { decideTakeOver } from '../../../engine/api/take-over.ts'

test('the way to a decision is no longer for the hundredth connection than for the first', async () => {
  await using server = createServer((_request, response) => response.end())
  const depths = new Set<number>()
  const decide = (): boolean => {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 1000
    depths.add((new Error().stack ?? '').split('\n').filter((line) => line.includes('take-over.ts')).length)
    Error.stackTraceLimit = limit
    return false
  }
  decideTakeOver(server, decide)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  for (let count = 0; count < 100; count += 1) {
    const asked = request({ port, host: '127.0.0.1', agent: false }).end()
    const [response] = (await once(asked, 'response')) as [NodeJS.ReadableStream]
    response.resume()
    await once(response, 'end')
  }
  assert.equal(depths.size, 1, `calls before the decision: ${[...depths].join(' ')}`)
})
