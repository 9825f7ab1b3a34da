/**
 * A daemon that is killed at any moment: what it had acknowledged holds, what it was doing is finished or undone, and
 * what ran still runs.
 */
import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { noPacketFilter } from '../kernel/packet-filter.ts'
import { imageOf, layerOf } from '../registry.ts'
import { noEngine, TestEngine, unframe } from './engine.ts'
import { startHostile } from './registry-hostile.ts'
import { groupsOf, residue, settled, supervisors } from './residue.ts'

const rounds = 5

/** The more a start has to do, the more there is to be left half done. */
const network = noPacketFilter === false ? 'bridge' : 'none'

/** What the daemon's answers promise of one container. */
type Promised = { id?: string; made?: true; started?: true; removing?: true; removed?: true }

/** Creates, starts and removes containers until the daemon is gone, and writes down what it was told. */
async function work(engine: TestEngine, name: string, promised: Map<string, Promised>): Promise<void> {
  for (let number = 0; ; number += 1) {
    const one: Promised = {}
    const called = `${name}-${number}`
    promised.set(called, one)
    try {
      const body = { Image: 'host', Cmd: ['sleep', '600'], HostConfig: { NetworkMode: network } }
      const created = await engine.call('POST', `/containers/create?name=${called}`, { body })
      assert.equal(created.status, 201, created.text)
      one.id = created.json<{ Id: string }>().Id
      one.made = true
      const started = await engine.call('POST', `/containers/${called}/start`)
      assert.equal(started.status, 204, started.text)
      one.started = true
      // Some stay, to be found again.
      if (number % 3 === 2) continue
      one.removing = true
      const removed = await engine.call('DELETE', `/containers/${called}?force=1`)
      assert.equal(removed.status, 204, removed.text)
      one.removed = true
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      return
    }
  }
}

type Listed = { Id: string; Names: string[]; State: string }

const listed = async (engine: TestEngine): Promise<Listed[]> =>
  (await engine.call('GET', '/containers/json?all=1')).json<Listed[]>()

/** Of running containers: one of each, and nothing of anybody else. */
async function assertWhole(engine: TestEngine, promised: ReadonlyMap<string, Promised>): Promise<void> {
  const now = new Map((await listed(engine)).map((one) => [one.Names[0]?.slice(1) ?? '', one]))
  for (const [name, { made, started, removing, removed }] of promised) {
    const state = now.get(name)?.State
    if (removed) assert.equal(state, undefined, `${name} was removed`)
    else if (made && !removing) assert.ok(state !== undefined, `${name} was created`)
    if (started && !removing) assert.equal(state, 'running', `${name} was started`)
    if (state !== undefined && !removing) assert.match(state, /^(created|running)$/, name)
    if (state !== undefined) assert.match(state, /^(created|running|exited)$/, name)
  }
  const all = [...now.values()].map(({ Id }) => Id)
  const running = [...now.values()].filter(({ State }) => State === 'running').map(({ Id }) => Id)
  const count = (what: string, found: readonly string[]): string[] =>
    found.filter((line) => line.startsWith(`${what} `))
  const wanted = {
    state: all.map((id) => `state ${id}`).sort(),
    bundle: running.map((id) => `bundle ${id}`).sort(),
    namespace: running.map((id) => `namespace ${id}`).sort(),
    links: network === 'bridge' ? running.length : 0,
    // The machine's own image has one.
    snapshots: all.length + 1,
    supervisors: running.length,
    trash: 0,
  }
  const has = (): typeof wanted => {
    const found = residue(engine)
    return {
      state: count('state', found),
      bundle: count('bundle', found),
      namespace: count('namespace', found),
      links: count('link', found).length,
      snapshots: count('snapshot', found).length,
      supervisors: supervisors(engine).filter((pid) => !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '))
        .length,
      trash: count('trash', found).length,
    }
  }
  const text = JSON.stringify(wanted)
  assert.deepEqual(await settled(has, (value) => JSON.stringify(value) === text), wanted)
  const gone = [...promised.values()].flatMap(({ id }) => (id !== undefined && !running.includes(id) ? [id] : []))
  assert.deepEqual(groupsOf(gone), [])
}

test('killed amid creates, starts and removals', { skip: noEngine }, async () => {
  await using engine = await TestEngine.start()
  for (let round = 0; round < rounds; round += 1) {
    const promised = new Map<string, Promised>()
    const working = ['one', 'two'].map((name) => work(engine, `${name}-${round}`, promised))
    // Where in its work the daemon is then is the point: the rounds spread over all of it.
    await sleep(randomInt(20, 500))
    await engine.end('SIGKILL')
    await Promise.all(working)
    await engine.begin()
    await assertWhole(engine, promised)
    assert.doesNotMatch(engine.output, /^drydock: /m)
    for (const { Id } of await listed(engine))
      assert.equal((await engine.call('DELETE', `/containers/${Id}?force=1`)).status, 204)
    await assertWhole(engine, new Map())
  }
})

/** Where in the work the daemon is killed, as shares of the time that it takes. */
const moments = [0.1, 0.3, 0.5, 0.7, 0.9]

type Phase = { verb: string; before: readonly string[]; call: readonly [method: string, path: string] }

const phases: readonly Phase[] = [
  { verb: 'create', before: [], call: ['POST', '/containers/create?name=NAME'] },
  { verb: 'start', before: ['create'], call: ['POST', '/containers/NAME/start'] },
  { verb: 'remove', before: ['create'], call: ['DELETE', '/containers/NAME?v=1'] },
  { verb: 'remove with force', before: ['create', 'start'], call: ['DELETE', '/containers/NAME?v=1&force=1'] },
]

/** With a volume of its own and one that is shared, a network where there can be one, and a limit: something of every layer. */
const everything = {
  Image: 'host',
  Cmd: ['sleep', '600'],
  Volumes: { '/own': {} },
  HostConfig: { NetworkMode: network, Memory: 64 * 1024 ** 2, Binds: ['common:/common'] },
}

async function perform(engine: TestEngine, verb: string, name: string): Promise<number> {
  const [method, path] = phases.find((phase) => phase.verb === verb)!.call
  const body = verb === 'create' ? { body: everything } : {}
  return (await engine.call(method, path.replace('NAME', name), body)).status
}

test('killed in each part of a creation, a start and a removal', { skip: noEngine }, async () => {
  await using engine = await TestEngine.start()
  for (const { verb, before } of phases) {
    for (const one of before) await perform(engine, one, 'measured')
    const began = performance.now()
    assert.ok((await perform(engine, verb, 'measured')) < 300, verb)
    const takes = performance.now() - began
    if (!verb.startsWith('remove')) await engine.call('DELETE', '/containers/measured?v=1&force=1')
    for (const moment of moments) {
      for (const one of before) assert.ok((await perform(engine, one, 'victim')) < 300)
      const status = perform(engine, verb, 'victim').catch(() => undefined)
      await sleep(moment * takes)
      await engine.end('SIGKILL')
      const answered = await status
      await engine.begin()
      const at = `${verb}, killed at ${moment}`
      assert.doesNotMatch(engine.output, /^drydock: /m, at)
      const [left] = await listed(engine)
      if (answered !== undefined) assert.equal(left === undefined, verb.startsWith('remove'), at)
      if (left === undefined && verb === 'start') assert.fail(`${at}: the container is gone`)
      const now = new Map([['victim', left === undefined ? {} : { made: true as const, removing: true as const }]])
      await assertWhole(engine, now)
      const volumes = residue(engine).filter((line) => /^volume [0-9a-f]{64}$/.test(line))
      assert.equal(volumes.length, left === undefined ? 0 : 1, at)
      if (left !== undefined) assert.equal((await engine.call('DELETE', '/containers/victim?v=1&force=1')).status, 204)
      await assertWhole(engine, new Map())
    }
  }
})

test('what runs through three killed daemons runs on, and its log has every line once', {
  skip: noEngine,
}, async () => {
  await using engine = await TestEngine.start()
  const id = await engine.run('counter', [
    'sh',
    '-c',
    'i=0; while [ ! -e /stop ]; do i=$((i+1)); echo "line $i"; sleep 0.01; done; echo end',
  ])
  const inspect = async (): Promise<{ State: { Pid: number; Status: string } }> =>
    (await engine.call('GET', `/containers/${id}/json`)).json()
  const { Pid } = (await inspect()).State
  for (let time = 0; time < 3; time += 1) {
    await sleep(randomInt(50, 150))
    await engine.end('SIGKILL')
    await sleep(50)
    await engine.begin()
    assert.deepEqual(await inspect().then(({ State }) => [State.Pid, State.Status]), [Pid, 'running'])
  }
  const stop = await layerOf({ stop: '' })
  assert.equal((await engine.call('PUT', '/containers/counter/archive?path=/', { raw: stop })).status, 200)
  assert.equal((await engine.call('POST', '/containers/counter/wait')).json().StatusCode, 0)
  const logs = await engine.call('GET', '/containers/counter/logs?stdout=1')
  const lines = unframe(logs.body).stdout.trimEnd().split('\n')
  assert.ok(lines.length > 20)
  const wanted = Array.from({ length: lines.length - 1 }, (_, at) => `line ${at + 1}`)
  assert.deepEqual(lines, [...wanted, 'end'])
  assert.equal((await engine.call('DELETE', '/containers/counter')).status, 204)
  assert.equal(existsSync(`/proc/${Pid}`), false)
})

test('killed amid pulls: no half image, and the same pull can be done again', { skip: noEngine }, async () => {
  await using engine = await TestEngine.start()
  await using registry = await startHostile()
  for (let round = 0; round < 4; round += 1) {
    const made = imageOf([await layerOf({ a: randomBytes(2_000_000) }), await layerOf({ b: randomBytes(2_000_000) })])
    registry.add(`killed${round}`, '1', made)
    const path = `/images/create?fromImage=${registry.host}/killed${round}&tag=1`
    const pulling = engine.call('POST', path).catch(() => undefined)
    await sleep(randomInt(1, 150))
    await engine.end('SIGKILL')
    await pulling
    await engine.begin()
    assert.match((await engine.call('POST', path)).text, /Status: (Downloaded newer image|Image is up to date)/)
    const name = `${registry.host}/killed${round}:1`
    assert.equal((await engine.call('GET', `/images/${name}/json`)).json().Id, made.config.digest)
    assert.equal((await engine.call('DELETE', `/images/${name}`)).status, 200)
    const blobs = new Set([made.config, ...made.layers].map(({ digest }) => `blob ${digest.slice(7)}`))
    const left = await settled(
      () => residue(engine).filter((line) => blobs.has(line) || /^(ingest|trash)/.test(line)),
      (lines) => lines.length === 0,
    )
    assert.deepEqual(left, [])
  }
})
