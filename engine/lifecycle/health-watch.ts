/** Probing the health of running containers, each in its own time; wire facts 115–118. */
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../base/errors.ts'
import { timestamp } from '../base/time.ts'
import type { ProbeResult } from './container.ts'
import { announce, type Engine } from './engine.ts'
import { createExec, startExec } from './exec.ts'
import { goDuration } from './go-duration.ts'
import { afterProbe, type HealthTest, healthTest, longestOutput, nextProbe } from './health.ts'

/** From now on, until `unwatchHealth`. Nothing where the container has no health check, or is watched already. */
export function watchHealth(engine: Engine, id: string): void {
  const test = healthTest(engine.table.byId(id).config)
  if (test === undefined || engine.healthWatches.has(id)) return
  const end = new AbortController()
  engine.healthWatches.set(id, end)
  void watch(engine, id, test, end.signal).catch((error: unknown) => {
    if (!end.signal.aborted) engine.report(`the health of container ${id}: ${messageOf(error)}`)
  })
}

export function unwatchHealth(engine: Engine, id: string): void {
  engine.healthWatches.get(id)?.abort()
  engine.healthWatches.delete(id)
}

/** The daemon is going: the next one goes on from what is known now. */
export function keepHealth(engine: Engine): void {
  for (const [id, end] of engine.healthWatches) {
    end.abort()
    if (engine.table.find(id) !== undefined) engine.table.update(id, {})
  }
  engine.healthWatches.clear()
}

async function watch(engine: Engine, id: string, test: HealthTest, ended: AbortSignal): Promise<void> {
  for (;;) {
    const { health, startedAt } = engine.table.byId(id).run
    if (health === undefined) return
    await sleep(nextProbe(test, health, startedAt, Date.now()), undefined, { signal: ended, ref: false })
    const result = await probe(engine, id, test)
    if (ended.aborted) return
    take(engine, id, test, result)
  }
}

/** Only a change of the status is written to disk and told: probes are many, and each of their results is soon old. */
function take(engine: Engine, id: string, test: HealthTest, result: ProbeResult): void {
  const { health: before, startedAt } = engine.table.byId(id).run
  if (before === undefined) return
  const health = afterProbe(test, before, result, startedAt)
  if (health.status === before.status) {
    engine.table.note(id, { health })
    return
  }
  announce(engine, engine.table.update(id, { run: { health } }), `health_status: ${health.status}`)
}

/** An exec as any other; its supervisor ends it when its time is over, also without this daemon. */
async function probe(engine: Engine, id: string, test: HealthTest): Promise<ProbeResult> {
  const start = timestamp()
  const result = (exitCode: number, output: string): ProbeResult => ({ start, end: timestamp(), exitCode, output })
  try {
    const execId = createExec(engine, id, { ...probeRequest, cmd: test.command })
    const stream = await startExec(engine, execId, { detach: false, tty: false, timeout: test.timeout })
    const output = await outputOf(stream as Duplex)
    const exit = await engine.execs.whenEnded(execId)
    if (exit.timedOut !== true) return result(exit.exitCode ?? -1, output)
    const said = `Health check exceeded timeout (${goDuration(test.timeout)})`
    return result(-1, output === '' ? said : `${said}: ${output}`)
  } catch (error) {
    return result(-1, messageOf(error))
  }
}

const probeRequest = {
  env: [],
  user: '',
  workingDir: '',
  privileged: false,
  tty: false,
  attachStdin: false,
  attachStdout: true,
  attachStderr: true,
}

/** Both outputs as they came, without their frames; read to the end, kept up to a limit. */
async function outputOf(stream: Duplex): Promise<string> {
  stream.end()
  const pieces: Buffer[] = []
  let length = 0
  for await (const chunk of stream) {
    if (length > framed) continue
    pieces.push(chunk as Buffer)
    length += (chunk as Buffer).length
  }
  const text = unframed(Buffer.concat(pieces))
  return text.length > longestOutput ? `${text.toString('utf8', 0, longestOutput)}...` : text.toString()
}

/** Enough for the longest output, were each of its bytes in a frame of its own. */
const headerLength = 8
const framed = longestOutput * (headerLength + 1)

function unframed(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at + headerLength <= bytes.length; ) {
    const end = at + headerLength + bytes.readUInt32BE(at + 4)
    parts.push(bytes.subarray(at + headerLength, end))
    at = end
  }
  return Buffer.concat(parts)
}
