/**
 * Out of descriptors: RLIMIT_NOFILE of the daemon, then of its spawner, is moved down to just above what each has open, one
 * more for each run. Whatever is asked is done or refused with a sentence, leaves nothing, and all is well with room again.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { noPacketFilter } from '../kernel/packet-filter.ts'
import { noEngine, TestEngine } from './engine.ts'
import { residue, residueLike } from './residue.ts'

const most = 16

describe('out of descriptors', { skip: noEngine }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
    await engine.run('neighbour', ['sh', '-c', 'while :; do echo tick; sleep 0.1; done'])
    await engine.run('first', ['true'])
    await engine.call('DELETE', '/containers/first?force=1')
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  const open = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length
  const limit = (pid: number, count: number | string): void =>
    void execFileSync('prlimit', ['--pid', `${pid}`, `--nofile=${count}:`])
  const children = (pid: number): number[] =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)

  /** The status and sentence, or what became of the connection. */
  async function asked(method: string, path: string, body?: object): Promise<string> {
    try {
      const answer = await engine.call(method, path, body === undefined ? {} : { body })
      return answer.status < 300 ? 'done' : `${answer.status} ${answer.json().message}`
    } catch (error) {
      return `connection: ${(error as NodeJS.ErrnoException).code}`
    }
  }

  const container = {
    Image: 'host',
    Cmd: ['sh', '-c', 'echo out; echo err >&2'],
    HostConfig: { NetworkMode: noPacketFilter === false ? 'bridge' : 'none' },
  }

  /** A life from create to remove. The answers that were no `done`. */
  async function life(): Promise<string[]> {
    const answers = [await asked('POST', '/containers/create?name=short', container)]
    answers.push(await asked('POST', '/containers/short/start'))
    answers.push(await asked('GET', '/containers/short/logs?stdout=1'))
    return answers.filter((answer) => answer !== 'done')
  }

  /** Takes the shim that is ready, so that the next has to be forked. */
  async function takeSpare(): Promise<void> {
    const body = { ...container, Cmd: ['sleep', '1000'], HostConfig: { NetworkMode: 'none' } }
    await asked('POST', '/containers/create?name=earlier', body)
    await asked('POST', '/containers/earlier/start')
  }

  async function starve(pid: number, sentence: RegExp, first = async () => {}): Promise<void> {
    const was = residue(engine)
    const refusals = new Set<string>()
    for (let spare = 0; spare < most; spare += 1) {
      limit(pid, open(pid) + spare)
      try {
        await first()
        for (const answer of await life()) refusals.add(answer)
      } finally {
        limit(pid, 4096)
      }
      assert.match(await asked('DELETE', '/containers/earlier?force=1'), /^(done|404 .*)$/)
      const removed = await asked('DELETE', '/containers/short?force=1')
      assert.match(removed, /^(done|404 .*)$/)
      // What could not be deleted is deleted with the next.
      assert.equal(await asked('POST', '/containers/create?name=next', container), 'done')
      assert.equal(await asked('DELETE', '/containers/next'), 'done')
      assert.deepEqual(await residueLike(engine, was), was, `with ${spare} to spare`)
    }
    const told = [...refusals].filter(
      (text) => !text.startsWith('connection: ') && !/^(404 No such container|409)/.test(text),
    )
    assert.ok(told.length > 0, 'nothing was refused')
    for (const text of told) assert.match(text, sentence)
    assert.deepEqual(await life(), [])
    assert.equal(await asked('DELETE', '/containers/short?force=1'), 'done')
    assert.equal(
      (await engine.call('GET', '/containers/neighbour/json')).json<{ State: { Status: string } }>().State.Status,
      'running',
    )
  }

  test('of the daemon: each answer is a whole one', async () => {
    await starve(engine.pid, /^500 .*EMFILE/)
  })

  test('of the spawner', async () => {
    const [spawner = 0] = children(engine.pid)
    await starve(spawner, /^500 .*EMFILE/, takeSpare)
  })

  test('taken by clients that stay: those go on, later ones are turned away, and come in when there is room', async () => {
    limit(engine.pid, open(engine.pid) + 10)
    const sockets: Socket[] = []
    try {
      // What it had open for others in that moment is room for a few more.
      let answer = 'done'
      for (let count = 0; count < 100 && answer === 'done'; count += 1) {
        sockets.push((await engine.wire()).on('error', () => {}).resume())
        answer = await asked('GET', '/_ping')
      }
      assert.match(answer, /^connection: /)
      for (const socket of sockets) socket.destroy()
      assert.equal(await settledAnswer(() => asked('GET', '/_ping')), 'done')
    } finally {
      limit(engine.pid, 4096)
      for (const socket of sockets) socket.destroy()
    }
  })

  async function settledAnswer(ask: () => Promise<string>): Promise<string> {
    let answer = ''
    for (let attempt = 0; attempt < 100 && answer !== 'done'; attempt += 1) answer = await ask()
    return answer
  }
})
