/** A full disk: the engine's root is a small tmpfs. Every refusal says so, leaves nothing, and the engine goes on. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type HandmadeImage, imageOf, layerOf } from '../registry.ts'
import { noEngine, TestEngine } from './engine.ts'
import { type HostileRegistry, startHostile } from './registry-hostile.ts'
import { residue, residueLike } from './residue.ts'

const size = 12 * 1024 * 1024

describe('no space left', { skip: noEngine }, () => {
  let engine: TestEngine
  let root: string
  let registry: HostileRegistry
  /** Packed, it fits nowhere. */
  let large: HandmadeImage
  let largeLayer: Buffer
  /** Packed, it is small; unpacked, it fits nowhere. */
  let swelling: HandmadeImage
  let mounted = false

  before(async () => {
    engine = await TestEngine.start()
    root = join(engine.directory, 'root')
    await engine.end()
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'drydock-test', root])
    mounted = true
    await engine.begin()
    registry = await startHostile()
    largeLayer = await layerOf({ big: randomBytes(size + 1_000_000) })
    large = imageOf([largeLayer])
    swelling = imageOf([await layerOf({ small: 'x' }), await layerOf({ zeros: Buffer.alloc(size + 1_000_000) })])
    registry.add('large', '1', large)
    registry.add('swelling', '1', swelling)
  })
  after(async () => {
    await registry?.[Symbol.asyncDispose]()
    if (mounted) {
      for (const { Id } of (await engine.call('GET', '/containers/json?all=1')).json<{ Id: string }[]>())
        await engine.call('DELETE', `/containers/${Id}?force=1`)
      await engine.end()
      execFileSync('umount', [root])
    }
    await engine?.[Symbol.asyncDispose]()
  })

  async function refuses(method: string, path: string, raw?: Buffer): Promise<void> {
    const was = residue(engine)
    const answer = await engine.call(method, path, {
      ...(raw && { raw, headers: { 'Content-Type': 'application/x-tar' } }),
    })
    const lines = answer.text.trim().split('\r\n')
    const { message = '', errorDetail } = JSON.parse(lines.at(-1) ?? '') as {
      message?: string
      errorDetail?: { message: string }
    }
    const sentence = errorDetail?.message ?? message
    assert.match(sentence, /^no space left on the disk while (writing|storing) /, answer.text)
    if (errorDetail === undefined) assert.equal(answer.status, 503)
    assert.deepEqual(await residueLike(engine, was), was)
  }

  async function runsStill(): Promise<void> {
    const ran = await engine.docker(['run', '--rm', '--network', 'none', 'host', 'echo', 'still here'])
    assert.deepEqual(ran, { code: 0, out: 'still here\n', error: '' })
  }

  test('a pull whose layer does not fit', async () => {
    await refuses('POST', `/images/create?fromImage=${registry.host}/large&tag=1`)
    await runsStill()
  })

  test('a pull whose layer does not fit unpacked', async () => {
    await refuses('POST', `/images/create?fromImage=${registry.host}/swelling&tag=1`)
    await runsStill()
  })

  test('an import that does not fit', async () => {
    await refuses('POST', '/images/create?fromSrc=-&repo=imported', largeLayer)
    await runsStill()
  })

  test('a load that does not fit', async () => {
    await refuses('POST', '/images/load', await layerOf({ 'layer.tar': largeLayer, 'manifest.json': '[]' }))
    await runsStill()
  })

  test('a file that is copied in and does not fit, the container keeps what it had', async () => {
    await engine.call('POST', '/containers/create?name=keeper', {
      body: { Image: 'host', Cmd: ['true'], HostConfig: { NetworkMode: 'none' } },
    })
    const answer = await engine.call('PUT', '/containers/keeper/archive?path=/tmp', { raw: largeLayer })
    assert.equal(answer.status, 503, answer.text)
    assert.match(String(answer.json().message), /^no space left on the disk while writing "big"$/)
    assert.equal((await engine.call('DELETE', '/containers/keeper')).status, 204)
    await runsStill()
  })

  test('to the last byte: what is removed goes and makes space, everything else is said, and all is well again', async () => {
    const was = residue(engine)
    await engine.run('survivor', ['sleep', '600'])
    const filler = join(root, 'filler')
    try {
      const { bavail, bsize } = statfsSync(root)
      writeFileSync(filler, Buffer.alloc(Number(bavail) * Number(bsize)))
      assert.equal(Number(statfsSync(root).bavail), 0)
      // What fits into pages that are there already is no failure.
      for (const name of ['full1', 'full2', 'full3']) {
        const answer = await engine.call('POST', `/containers/create?name=${name}`, {
          body: { Image: 'host', Cmd: ['true'], HostConfig: { NetworkMode: 'none' } },
        })
        if (answer.status === 201) assert.equal((await engine.call('DELETE', `/containers/${name}`)).status, 204)
        else assert.match(`${answer.status} ${answer.json().message}`, /^503 no space left on the disk/)
      }
      const imported = await engine.call('POST', '/images/create?fromSrc=-&repo=one', {
        raw: await layerOf({ one: 'x'.repeat(1_000_000) }),
      })
      assert.match(`${imported.status} ${imported.json().message}`, /^503 no space left on the disk/)
      assert.equal((await engine.call('GET', '/containers/survivor/json')).status, 200)
      const removed = await engine.call('DELETE', '/containers/survivor?force=1')
      assert.equal(removed.status, 204, removed.text)
    } finally {
      rmSync(filler, { force: true })
    }
    assert.deepEqual(await residueLike(engine, was), was)
    assert.deepEqual((await engine.call('GET', '/containers/json?all=1')).json(), [])
    await runsStill()
  })
})
