/** Clients that ask for a stream and do not read it: nothing piles up for them, and they hear again when they read again. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { noEngine, TestEngine, until } from './engine.ts'

describe('slow clients', { skip: noEngine }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
    // Every event of it carries the label.
    await engine.run('source', ['sleep', '3600'], { Labels: { ballast: 'x'.repeat(100_000) } })
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  async function asked(path: string): Promise<Socket> {
    const socket = await engine.wire()
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await until(socket, '\r\n\r\n')
    socket.pause()
    return socket
  }

  /** Reads from now on; answers how many events of an action have come. */
  function hear(socket: Socket): (action: string) => number {
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.resume()
    return (action) => text.split(`"Action":"${action}"`).length - 1
  }

  test('one that has missed events hears the next ones, others have missed none', async () => {
    const listening = `/events?filters=${encodeURIComponent('{"event":["top","rename"]}')}`
    const [deaf, other] = [await asked(listening), await asked(listening)]
    const heard = hear(other)
    for (let count = 0; count < 40; count += 1) await engine.call('GET', '/containers/source/top')
    const late = hear(deaf)
    for (let name = 0; late('rename') === 0; name += 1) {
      assert.ok(name < 100, 'it hears nothing any more')
      await engine.call(
        'POST',
        `/containers/${name === 0 ? 'source' : `source-${name - 1}`}/rename?name=source-${name}`,
      )
      await new Promise((later) => setTimeout(later, 50))
    }
    assert.equal(heard('top'), 40)
    assert.ok(late('top') < 40, 'all of them waited in memory')
    deaf.destroy()
    other.destroy()
  })
})
