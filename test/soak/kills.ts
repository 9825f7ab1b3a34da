/**
 * A daemon that is killed over and over while it creates, starts, stops, renames, runs execs in and removes containers,
 * and others write to their logs: after each restart what was acknowledged holds, and nothing is left of anything else.
 */
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type TestEngine, unframe } from '../engine/engine.ts'
import { residue, settled, supervisors } from '../engine/residue.ts'

const workers = 6
const writers = 10
const writing = 'i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.05; done'

type State = 'created' | 'running' | 'exited'
/** By id, what the last answer promised; undefined while a call is under way, and after it failed. */
type Promised = Map<string, State | 'gone' | undefined>

/** One call, and what it promises when it is answered. False when the daemon has gone. */
async function step(
  engine: TestEngine,
  promised: Promised,
  id: string,
  call: string,
  then: State | 'gone',
): Promise<boolean> {
  const [method = '', path = ''] = call.split(' ')
  promised.set(id, undefined)
  try {
    const { status, text } = await engine.call(method, path.replace('ID', id))
    if (status >= 300) throw new TypeError(`${call}: ${status} ${text}`)
    promised.set(id, then)
    return true
  } catch (error) {
    if (error instanceof TypeError) throw error
    return false
  }
}

const life: readonly (readonly [call: string, then: State | 'gone'])[] = [
  ['POST /containers/ID/start', 'running'],
  ['POST /containers/ID/restart?t=0', 'running'],
  ['POST /containers/ID/stop?t=0', 'exited'],
  ['POST /containers/ID/start', 'running'],
  ['DELETE /containers/ID?force=1&v=1', 'gone'],
]

async function work(engine: TestEngine, promised: Promised): Promise<void> {
  const body = { Image: 'host', Cmd: ['sleep', '3600'], Volumes: { '/v': {} }, HostConfig: { NetworkMode: 'bridge' } }
  for (;;) {
    const created = await engine.call('POST', '/containers/create', { body }).catch(() => undefined)
    if (created === undefined) return
    if (created.status !== 201) throw new TypeError(`create: ${created.status} ${created.text}`)
    const id = created.json<{ Id: string }>().Id
    promised.set(id, 'created')
    for (const [call, then] of life.slice(0, randomInt(1, life.length + 1)))
      if (!(await step(engine, promised, id, call, then))) return
  }
}

type Listed = { Id: string; State: State }

async function check(engine: TestEngine, promised: Promised, writer: readonly string[]): Promise<string[]> {
  const wrong: string[] = []
  const listed = (await engine.call('GET', '/containers/json?all=1')).json<Listed[]>()
  const now = new Map(listed.map(({ Id, State }) => [Id, State]))
  for (const [id, state] of promised) {
    if (state === undefined) continue
    const found = now.get(id) ?? 'gone'
    if (found !== state) wrong.push(`${id.slice(0, 12)} was ${state}, and is ${found}`)
  }
  for (const id of writer) {
    if (now.get(id) !== 'running') wrong.push(`the writer ${id.slice(0, 12)} is ${now.get(id)}`)
    const logs = await engine.call('GET', `/containers/${id}/logs?stdout=1`)
    const lines = unframe(logs.body).stdout.trimEnd().split('\n')
    const bad = lines.findIndex((line, at) => line !== `line ${at + 1}`)
    if (bad >= 0) wrong.push(`line ${bad + 1} of the writer ${id.slice(0, 12)} is ${JSON.stringify(lines[bad])}`)
  }
  return [...wrong, ...(await orphans(engine, listed))]
}

/** Everything there is once for each container, or for each that runs. */
async function orphans(engine: TestEngine, listed: readonly Listed[]): Promise<string[]> {
  const running = listed.filter(({ State }) => State === 'running').length
  const alive = (pid: number): boolean => {
    try {
      return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
    } catch {
      return false
    }
  }
  const wanted = { state: listed.length, bundle: running, namespace: running, snapshot: listed.length + 1, trash: 0 }
  const counted = (): Record<string, number> => {
    const found = residue(engine)
    const of = (what: string): number => found.filter((line) => line.startsWith(`${what} `)).length
    const counts = Object.fromEntries(Object.keys(wanted).map((what) => [what, of(what)]))
    return { ...counts, supervisors: supervisors(engine).filter(alive).length }
  }
  const all = JSON.stringify({ ...wanted, supervisors: running })
  const found = await settled(counted, (value) => JSON.stringify(value) === all)
  return JSON.stringify(found) === all ? [] : [`there should be ${all}, there is ${JSON.stringify(found)}`]
}

export async function kills(engine: TestEngine, count: number): Promise<string[]> {
  const writer: string[] = []
  for (let number = 0; number < writers; number += 1)
    writer.push(await engine.run(`writer-${number}`, ['sh', '-c', writing]))
  for (let round = 1; round <= count; round += 1) {
    const promised: Promised = new Map()
    const working = Array.from({ length: workers }, () => work(engine, promised))
    await sleep(randomInt(10, 1500))
    await engine.end('SIGKILL')
    await Promise.all(working)
    await engine.begin()
    const wrong = await check(engine, promised, writer)
    if (/^drydock: /m.test(engine.output)) wrong.push(`the daemon said: ${engine.output}`)
    if (wrong.length > 0) return wrong.map((line) => `round ${round}: ${line}`)
    for (const [id] of promised) await engine.call('DELETE', `/containers/${id}?force=1&v=1`)
    if (round % 10 === 0) console.log(`  ${round} kills`)
  }
  return []
}
