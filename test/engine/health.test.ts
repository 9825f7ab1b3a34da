/** Health checks as clients see them: status, log, events; also over a daemon that was killed. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { noEngine, TestEngine } from './engine.ts'

type Health = { Status: string; FailingStreak: number; Log: { ExitCode: number; Output: string }[] }

const ms = 1_000_000

describe('health', { skip: noEngine }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  const inspect = async (name: string): Promise<{ State: { Health?: Health; Pid: number } }> =>
    (await engine.call('GET', `/containers/${name}/json`)).json()

  async function becomes(name: string, wanted: (health: Health) => boolean): Promise<Health> {
    for (let look = 0; look < 400; look += 1) {
      const health = (await inspect(name)).State.Health
      if (health !== undefined && wanted(health)) return health
      await sleep(50)
    }
    throw new Error(`${name} stays ${JSON.stringify((await inspect(name)).State.Health)}`)
  }

  const status = async (name: string): Promise<string> => {
    const filters = encodeURIComponent(JSON.stringify({ name: [`^${name}$`] }))
    return (
      (await engine.call('GET', `/containers/json?all=1&filters=${filters}`)).json<{ Status: string }[]>()[0]?.Status ??
      ''
    )
  }

  /** Healthy as long as /tmp/well is there. */
  const moody = (more: object = {}) => ({
    Healthcheck: { Test: ['CMD-SHELL', 'echo looked; test -e /tmp/well'], Interval: 100 * ms, Retries: 2, ...more },
  })

  const exec = async (name: string, ...command: string[]): Promise<void> => {
    const made = await engine.call('POST', `/containers/${name}/exec`, { body: { Cmd: command } })
    const { Id } = made.json<{ Id: string }>()
    assert.equal((await engine.call('POST', `/exec/${Id}/start`, { body: { Detach: true } })).status, 200)
  }

  test('starting, unhealthy, healthy: in inspect, ps, filters and events', async () => {
    await engine.run('moody', ['sleep', '600'], moody({ Interval: 300 * ms }))
    assert.equal((await inspect('moody')).State.Health?.Status, 'starting')
    assert.match(await status('moody'), /^Up .* \(health: starting\)$/)
    const sick = await becomes('moody', ({ Status }) => Status === 'unhealthy')
    assert.equal(sick.FailingStreak, 2)
    assert.deepEqual(sick.Log.at(-1), { ...sick.Log.at(-1), ExitCode: 1, Output: 'looked\n' })
    assert.match(await status('moody'), /\(unhealthy\)$/)
    await exec('moody', 'touch', '/tmp/well')
    const well = await becomes('moody', ({ Status }) => Status === 'healthy')
    assert.equal(well.FailingStreak, 0)
    assert.match(await status('moody'), /^Up .* \(healthy\)$/)
    const filters = encodeURIComponent(JSON.stringify({ health: ['healthy'] }))
    assert.equal((await engine.call('GET', `/containers/json?filters=${filters}`)).json<unknown[]>().length, 1)
    assert.equal((await engine.call('GET', '/containers/json?filters={"health":["fine"]}')).status, 400)
    await becomes('moody', ({ Log }) => Log.length === 5)
    const now = Math.floor(Date.now() / 1000) + 1
    const told = (await engine.call('GET', `/events?since=1&until=${now}&filters={"event":["health_status"]}`)).text
    assert.deepEqual(
      told
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { Action: string }).Action),
      ['health_status: unhealthy', 'health_status: healthy'],
    )
    await engine.call('DELETE', '/containers/moody?force=1')
  })

  test('a probe that hangs is killed, one that is not there fails, a long output is cut', async () => {
    const probes = {
      hangs: { Test: ['CMD-SHELL', 'echo begun; exec sleep 1000'], Timeout: 200 * ms },
      missing: { Test: ['CMD', 'no-such-program'] },
      talks: { Test: ['CMD', 'seq', '1', '9999'] },
    }
    for (const [name, Healthcheck] of Object.entries(probes))
      await engine.run(name, ['sleep', '600'], { Healthcheck: { Interval: 50 * ms, Retries: 1, ...Healthcheck } })
    const hung = await becomes('hangs', ({ Status }) => Status === 'unhealthy')
    assert.deepEqual(hung.Log[0], {
      ...hung.Log[0],
      ExitCode: -1,
      Output: 'Health check exceeded timeout (200ms): begun\n',
    })
    const missing = await becomes('missing', ({ Status }) => Status === 'unhealthy')
    assert.match(missing.Log[0]?.Output ?? '', /executable file not found/)
    const long = await becomes('talks', ({ Status }) => Status === 'healthy')
    assert.equal(long.Log[0]?.Output.length, 4099)
    assert.ok(long.Log[0]?.Output.endsWith('...'))
    for (const name of Object.keys(probes)) await engine.call('DELETE', `/containers/${name}?force=1`)
  })

  test('none for a container without, and a kind that there is not is refused', async () => {
    await engine.run('plain', ['sleep', '600'], { Healthcheck: { Test: ['NONE'] } })
    assert.equal((await inspect('plain')).State.Health, undefined)
    assert.doesNotMatch(await status('plain'), /\(/)
    await engine.call('DELETE', '/containers/plain?force=1')
    const body = { Image: 'host', Cmd: ['true'], Healthcheck: { Test: ['HTTP', '/'] } }
    const refused = await engine.call('POST', '/containers/create', { body })
    assert.equal(refused.status, 400)
    assert.match(refused.text, /Unknown healthcheck type 'HTTP'/)
  })

  test('nobody probes what is paused or has ended', async () => {
    await engine.run('rests', ['sleep', '600'], { Healthcheck: { Test: ['CMD', 'true'], Interval: 50 * ms } })
    await becomes('rests', ({ Status }) => Status === 'healthy')
    await engine.call('POST', '/containers/rests/pause')
    const paused = (await inspect('rests')).State.Health
    assert.equal(paused?.Status, 'unhealthy')
    await engine.call('POST', '/containers/rests/unpause')
    await becomes('rests', ({ Status }) => Status === 'healthy')
    await engine.call('POST', '/containers/rests/stop?t=0')
    assert.equal((await inspect('rests')).State.Health?.Status, 'unhealthy')
    await engine.call('POST', '/containers/rests/start')
    assert.equal((await inspect('rests')).State.Health?.Log.length, 0)
    await becomes('rests', ({ Status }) => Status === 'healthy')
    await engine.call('DELETE', '/containers/rests?force=1')
  })

  test('a new daemon goes on where the last was killed, and its hanging probe does not stay', async () => {
    await engine.run('lasts', ['sleep', '600'], moody())
    await exec('lasts', 'touch', '/tmp/well')
    await becomes('lasts', ({ Status }) => Status === 'healthy')
    await engine.run('sticks', ['sleep', '600'], {
      Healthcheck: { Test: ['CMD', 'sleep', '888'], Interval: 50 * ms, Timeout: 3000 * ms },
    })
    const probing = async (): Promise<string[]> => sleepers((await inspect('sticks')).State.Pid)
    while ((await probing()).length === 0) await sleep(50)
    const [first] = await probing()
    await engine.end('SIGKILL')
    await engine.begin()
    assert.match(await status('lasts'), /\(healthy\)$/)
    await exec('lasts', 'rm', '/tmp/well')
    await becomes('lasts', ({ Status }) => Status === 'unhealthy')
    while (existsSync(`/proc/${first}`)) await sleep(50)
    for (const name of ['lasts', 'sticks']) await engine.call('DELETE', `/containers/${name}?force=1`)
  })
})

/** Processes `sleep 888` in the PID namespace of this one. */
function sleepers(pid: number): string[] {
  const namespace = (of: string): string => readFileSync(`/proc/${of}/cgroup`, 'utf8')
  const own = namespace(String(pid))
  return readdirSync('/proc').filter((name) => {
    try {
      return (
        /^\d+$/.test(name) &&
        namespace(name) === own &&
        readFileSync(`/proc/${name}/cmdline`, 'utf8').startsWith('sleep\u0000888')
      )
    } catch {
      return false
    }
  })
}
