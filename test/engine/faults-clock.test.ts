/** The machine's clock is set back by a day under a running engine. Only on a machine that is there to be thrown away. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { noEngine, TestEngine, unframe, until } from './engine.ts'

const day = 86_400
const skip = noEngine || (process.env.DRYDOCK_GUEST === undefined && 'only in the virtual machines of npm run test:vm')

const setClock = (seconds: number): void => void execFileSync('date', ['--set', `@${seconds}`], { stdio: 'ignore' })

describe('a clock that is set back', { skip }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
  })
  after(async () => {
    if (engine !== undefined) setClock(Math.round(Date.now() / 1000) + day)
    await engine?.[Symbol.asyncDispose]()
  })

  type State = { Status: string; Running: boolean; RestartCount: number; Health: { Status: string } }
  const state = async (name: string): Promise<State> => {
    const { State, RestartCount } = (await engine.call('GET', `/containers/${name}/json`)).json<{
      State: State
      RestartCount: number
    }>()
    return { ...State, RestartCount }
  }

  test('nothing waits for the time to come again', async () => {
    const second = 1_000_000_000
    const Healthcheck = { Test: ['CMD', 'false'], Interval: second / 5, StartPeriod: 3600 * second, Retries: 2 }
    const command = 'trap "" TERM; while :; do echo line; sleep 0.2; done'
    await engine.run('sick', ['sleep', '3600'], { Healthcheck })
    await engine.run('stubborn', ['sh', '-c', command])
    await engine.run('restless', ['sh', '-c', 'sleep 0.5; exit 1'], {
      HostConfig: { NetworkMode: 'none', RestartPolicy: { Name: 'always' } },
    })
    const events = await engine.open('GET', `/events?filters=${encodeURIComponent('{"event":["create"]}')}`)
    const waited = engine.call('POST', '/containers/stubborn/wait')
    setClock(Math.round(Date.now() / 1000) - day)
    const since = Date.now() / 1000 - 5

    await engine.run('later', ['sh', '-c', 'echo later'])
    assert.match(await until(events, '"name":"later"'), /"Action":"create"/)
    events.destroy()
    const again = await engine.call('GET', `/events?since=${since}&until=${since + 10}`)
    assert.match(again.text, /"Action":"start".*"name":"later"/s)
    for (let logs = ''; logs !== 'later\n'; await sleep(50))
      logs = unframe((await engine.call('GET', `/containers/later/logs?stdout=1&since=${since}`)).body).stdout
    assert.equal((await state('sick')).Running, true)
    while ((await state('sick')).Health.Status !== 'unhealthy') await sleep(100)
    const { RestartCount } = await state('restless')
    while ((await state('restless')).RestartCount < RestartCount + 2) await sleep(100)
    const lines = unframe((await engine.call('GET', '/containers/stubborn/logs?stdout=1')).body).stdout
    assert.match(lines, /^(line\n)+$/)
    assert.equal((await engine.call('POST', '/containers/stubborn/stop?t=1')).status, 204)
    assert.deepEqual((await waited).json(), { StatusCode: 137 })
    for (const name of ['sick', 'stubborn', 'restless', 'later'])
      assert.equal((await engine.call('DELETE', `/containers/${name}?force=1`)).status, 204)
  })
})
