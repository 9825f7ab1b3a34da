/** skopeo, unchanged: images out of the engine and into it, through its transport for Docker's daemon. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { pack } from 'tar-stream'
import { noEngine, rest, TestEngine } from '../engine/engine.ts'

const noSkopeo = noEngine || (spawnSync('skopeo', ['--version']).status === 0 ? false : 'needs skopeo')

describe('skopeo', { skip: noSkopeo }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  async function skopeo(...args: string[]): Promise<string> {
    const { code, out, error } = await engine.client('skopeo', args)
    assert.equal(code, 0, error)
    return out
  }

  test('inspect, copy out to a layout, copy in under another name', async () => {
    const tar = pack()
    tar.entry({ name: 'file' }, 'x')
    tar.finalize()
    const raw = await rest(Readable.from(tar))
    await engine.call('POST', '/images/create?fromSrc=-&repo=made&tag=1&changes=LABEL+a%3Db', { raw })
    const address = `unix://${engine.socket}`
    const seen = JSON.parse(await skopeo('inspect', '--daemon-host', address, 'docker-daemon:made:1')) as object
    assert.deepEqual((seen as { Labels: object }).Labels, { a: 'b' })
    const layout = `oci:${engine.directory}/layout:1`
    await skopeo('copy', '-q', '--src-daemon-host', address, 'docker-daemon:made:1', layout)
    await skopeo('copy', '-q', '--dest-daemon-host', address, layout, 'docker-daemon:back:2')
    const layers = async (name: string): Promise<unknown> =>
      (await engine.call('GET', `/images/${name}/json`)).json<{ RootFS: unknown }>().RootFS
    assert.deepEqual(await layers('back:2'), await layers('made:1'))
  })
})
