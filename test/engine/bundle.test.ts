/** What is shipped is one file and the parts it reads when they are called for: each of them is called for here. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { imageOf, layerOf, noRegistry, putImage, startRegistry } from '../registry.ts'
import { noEngine, TestEngine } from './engine.ts'

test('the bundle pulls an image, and runs a container', { skip: noRegistry || noEngine }, async () => {
  await using registry = await startRegistry()
  // Large enough for a thread of its own.
  const large = await layerOf({ large: randomBytes(2 << 20) })
  await putImage(registry.url, 'some/image', '1', imageOf([await layerOf({ file: 'text' }), large]))
  await using engine = await TestEngine.startBundle()
  const pulled = await engine.call('POST', `/images/create?fromImage=${registry.host}/some/image&tag=1`)
  assert.match(pulled.text, /Downloaded newer image/)
  const missing = await engine.call('POST', `/images/create?fromImage=${registry.host}/some/image&tag=2`)
  assert.match(missing.text, /manifest unknown|not found/)
  const body = { Image: 'host', Cmd: ['true'], HostConfig: { NetworkMode: 'none' } }
  const { Id } = (await engine.call('POST', '/containers/create', { body })).json<{ Id: string }>()
  assert.equal((await engine.call('POST', `/containers/${Id}/start`)).status, 204)
  const ended = await engine.call('POST', `/containers/${Id}/wait`)
  assert.deepEqual(ended.json(), { StatusCode: 0 })
})
