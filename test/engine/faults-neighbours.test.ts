/**
 * Containers that take all they can get, and a machine with no processes left: the engine answers, others live, an end is
 * an end. No time is asserted: what must not be blocked is asked for while the fault goes on.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { noEngine, TestEngine, unframe } from './engine.ts'
import { groupsOf, residue, residueLike, settled } from './residue.ts'

const [root, isVersion2] = existsSync('/sys/fs/cgroup/cgroup.controllers')
  ? (['/sys/fs/cgroup', true] as const)
  : (['/sys/fs/cgroup/pids', false] as const)
const noPids: string | false = !existsSync(join(root, 'cgroup.procs'))
  ? 'needs the pids controller'
  : existsSync(join(root, 'cgroup.type')) && 'a group with processes hands no controller on'

describe('greedy neighbours', { skip: noEngine }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  const logged = async (id: string, query = ''): Promise<string> =>
    unframe((await engine.call('GET', `/containers/${id}/logs?stdout=1${query}`)).body).stdout
  const gone = async (id: string): Promise<void> => {
    assert.equal((await engine.call('DELETE', `/containers/${id}?force=1`)).status, 204)
    assert.deepEqual(groupsOf([id]), [])
  }
  const files = (id: string): string[] =>
    readdirSync(join(engine.directory, 'root', 'containers', id)).filter((name) => name.includes('json.log'))

  /** All that others want of an engine, from beginning to end. */
  async function othersLive(): Promise<void> {
    assert.equal((await engine.call('GET', '/_ping')).text, 'OK')
    const id = await engine.run('other', ['sh', '-c', 'echo from another; sleep 600'])
    for (let text = ''; text === ''; text = await logged(id)) assert.ok('from another\n'.startsWith(text))
    const { code, out } = await engine.docker(['exec', id, 'echo', 'inside'])
    assert.deepEqual([code, out], [0, 'inside\n'])
    await gone(id)
  }

  test('one that writes its log as fast as it can: rotated all the while, read, followed, killed', async () => {
    const LogConfig = { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '3' } }
    const id = await engine.run('flood', ['yes', 'the same line again'], {
      HostConfig: { NetworkMode: 'none', LogConfig },
    })
    const follower = await engine.open('GET', `/containers/${id}/logs?stdout=1&follow=1&tail=0`)
    let followed = 0
    follower.on('data', (chunk: Buffer) => {
      followed += chunk.length
    })
    // Nobody reads this one: the container is not held up by it.
    const deaf = await engine.wire()
    deaf.write(`GET /containers/${id}/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: x\r\n\r\n`)
    for (let count = 0; count < 3; count += 1) await othersLive()
    assert.match(await logged(id, '&tail=100'), /^(the same line again\n){100}$/)
    const at = followed
    await settled(
      () => followed,
      (now) => now > at + 10_000_000,
    )
    assert.ok(followed > at + 10_000_000, `the follower heard ${followed - at} bytes more`)
    assert.ok(files(id).length <= 3, files(id).join())
    const ended = new Promise((resolve) => follower.once('end', resolve))
    assert.equal((await engine.call('POST', `/containers/${id}/kill`)).status, 204)
    await ended
    deaf.destroy()
    await gone(id)
  })

  test('one that forks without end is held at its limit, and ends with all it has', async () => {
    const id = await engine.run('bomb', ['sh', '-c', 'bomb() { bomb & bomb; }; bomb 2>/dev/null'], {
      HostConfig: { NetworkMode: 'none', PidsLimit: 50 },
    })
    const processes = async (): Promise<number> => {
      const { json, status } = await engine.call('GET', `/containers/${id}/stats?stream=0&one-shot=1`)
      return status === 200 ? (json<{ pids_stats: { current?: number } }>().pids_stats.current ?? 0) : 0
    }
    for (let count = 0; count < 20; count += 1) assert.ok((await processes()) <= 50)
    await othersLive()
    const { status } = await engine.call('POST', `/containers/${id}/kill`)
    // It may have ended for want of children.
    assert.ok([204, 409].includes(status))
    await gone(id)
  })

  test('no processes left for the engine itself: refused with a sentence, nothing stays', {
    skip: noPids,
  }, async () => {
    const group = join(root, `drydock-test-${process.pid}`)
    const move = (to: string): void => {
      const spawner = readFileSync(`/proc/${engine.pid}/task/${engine.pid}/children`, 'utf8').trim().split(' ')
      for (const pid of [`${engine.pid}`, ...spawner]) writeFileSync(join(to, 'cgroup.procs'), pid)
    }
    const current = (): number => Number(readFileSync(join(group, 'pids.current'), 'utf8'))
    const limit = (count: number | 'max'): void => writeFileSync(join(group, 'pids.max'), `${count}`)
    const was = residue(engine)
    if (isVersion2) writeFileSync(join(root, 'cgroup.subtree_control'), '+pids')
    mkdirSync(group)
    try {
      move(group)
      const refusals: string[] = []
      for (let spare = 0; spare < 4; spare += 1) {
        limit(current() + spare)
        // The first may have the shim that is ready.
        for (const name of ['first', 'second']) {
          const body = { Image: 'host', Cmd: ['sleep', '1000'], HostConfig: { NetworkMode: 'none' } }
          const created = await engine.call('POST', `/containers/create?name=${name}`, { body })
          assert.equal(created.status, 201, created.text)
          const started = await engine.call('POST', `/containers/${name}/start`)
          if (started.status !== 204) refusals.push(`${started.status} ${started.json().message}`)
        }
        limit('max')
        for (const name of ['first', 'second'])
          assert.equal((await engine.call('DELETE', `/containers/${name}?force=1`)).status, 204)
        assert.deepEqual(await residueLike(engine, was), was, `with ${spare} to spare`)
      }
      assert.ok(refusals.length > 0 && refusals.length < 8, `${refusals.length} were refused`)
      for (const text of refusals) assert.match(text, /^500 .*EAGAIN/)
      await othersLive()
    } finally {
      move(root)
      await settled(current, (count) => count === 0)
      rmdirSync(group)
    }
  })
})
