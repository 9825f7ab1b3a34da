/**
 * No inodes left, or no bytes, in the engine's root and in its run directory: small tmpfs, filled up to a few, one more for
 * each life of a container. Whatever is asked is done or refused with a sentence, and leaves nothing.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { noPacketFilter } from '../kernel/packet-filter.ts'
import { noEngine, TestEngine } from './engine.ts'
import { residue, residueLike } from './residue.ts'

const page = 4096
const options = 'size=16m,nr_inodes=3000'

describe('a full disk', { skip: noEngine }, () => {
  let engine: TestEngine
  const mounted: string[] = []
  before(async () => {
    engine = await TestEngine.start()
    await engine.end()
    for (const name of ['root', 'run']) {
      const path = join(engine.directory, name)
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'drydock-test', path])
      mounted.push(path)
    }
    await engine.begin()
    await engine.run('neighbour', ['sleep', '600'])
    await engine.run('first', ['true'])
    await engine.call('DELETE', '/containers/first?force=1')
  })
  after(async () => {
    if (mounted.length > 0) {
      await engine.call('DELETE', '/containers/neighbour?force=1')
      await engine.end()
      for (const path of mounted.reverse()) execFileSync('umount', ['--recursive', path])
    }
    await engine?.[Symbol.asyncDispose]()
  })

  const container = {
    Image: 'host',
    Cmd: ['sh', '-c', 'echo out; echo x > /tmp/x'],
    Volumes: { '/v': {} },
    HostConfig: { NetworkMode: noPacketFilter === false ? 'bridge' : 'none' },
  }

  async function asked(method: string, path: string, body?: object): Promise<string> {
    const answer = await engine.call(method, path, body === undefined ? {} : { body })
    return answer.status < 300 ? 'done' : `${answer.status} ${answer.json().message}`
  }

  /** Takes all but some of what is there. */
  function fill(path: string, what: 'inodes' | 'pages', spare: number): Disposable {
    const filler = join(path, 'filler')
    mkdirSync(filler)
    const { ffree, bavail } = statfsSync(path)
    if (what === 'pages') writeFileSync(join(filler, 'x'), Buffer.alloc(Math.max(0, bavail - spare) * page))
    else for (let number = 0; number < ffree - spare; number += 1) writeFileSync(join(filler, `${number}`), '')
    return { [Symbol.dispose]: () => rmSync(filler, { recursive: true }) }
  }

  async function starve(name: 'root' | 'run', what: 'inodes' | 'pages', most: number): Promise<void> {
    const was = residue(engine)
    const refusals = new Set<string>()
    for (let spare = 0; spare <= most; spare += 1) {
      const answers: string[] = []
      {
        using _full = fill(join(engine.directory, name), what, spare)
        answers.push(await asked('POST', '/containers/create?name=short', container))
        answers.push(await asked('POST', '/containers/short/start'))
        answers.push(await asked('GET', '/containers/short/logs?stdout=1'))
        answers.push(await asked('DELETE', '/containers/short?force=1&v=1'))
        assert.equal(await asked('GET', '/containers/neighbour/json'), 'done')
      }
      for (const answer of answers) if (answer !== 'done' && !answer.startsWith('404 ')) refusals.add(answer)
      const removed = await asked('DELETE', '/containers/short?force=1&v=1')
      assert.match(removed, /^(done|404 .*)$/)
      assert.deepEqual(await residueLike(engine, was), was, `with ${spare} ${what} to spare: ${answers}`)
    }
    assert.ok(refusals.size > 0, 'nothing was refused')
    for (const text of refusals) assert.match(text, /^503 .*no space left on the disk/)
    assert.equal(await asked('POST', '/containers/create?name=short', container), 'done')
    assert.equal(await asked('POST', '/containers/short/start'), 'done')
    assert.equal(await asked('DELETE', '/containers/short?force=1&v=1'), 'done')
  }

  test('no inodes in the root', () => starve('root', 'inodes', 14))
  test('no bytes in the root', () => starve('root', 'pages', 14))
  test('no inodes in the run directory', () => starve('run', 'inodes', 10))
  test('no bytes in the run directory', () => starve('run', 'pages', 10))
})
