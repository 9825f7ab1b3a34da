/** 500 events a second to twenty listeners, one of which never reads: the others miss nothing, and the engine answers. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestEngine } from '../engine/engine.ts'
import { holdings, shownHoldings } from './holdings.ts'

const listening = 20
const perSecond = 500

/** Counts what one listener hears of `top` events, in order. */
async function listen(engine: TestEngine): Promise<{ heard: number[]; close(): void }> {
  const heard: number[] = []
  const stream = await engine.open('GET', `/events?filters=${encodeURIComponent('{"event":["top"]}')}`)
  let rest = ''
  stream.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) heard.push((JSON.parse(line) as { timeNano: number }).timeNano)
  })
  stream.on('error', () => {})
  return { heard, close: () => stream.destroy() }
}

export async function listeners(engine: TestEngine, seconds: number): Promise<string[]> {
  await engine.run('source', ['sleep', '3600'])
  const deaf = await engine.wire()
  deaf.write('GET /events HTTP/1.1\r\nHost: x\r\n\r\n')
  deaf.pause()
  const all = await Promise.all(Array.from({ length: listening - 1 }, () => listen(engine)))
  const before = holdings(engine)
  const pings: number[] = []
  const total = perSecond * seconds
  const end = Date.now() + seconds * 1000
  const pinging = (async () => {
    while (Date.now() < end) {
      const began = performance.now()
      await engine.call('GET', '/_ping')
      pings.push(performance.now() - began)
      await sleep(20)
    }
  })()
  let sent = 0
  const send = async (): Promise<void> => {
    while (sent < total) {
      sent += 1
      await engine.call('GET', '/containers/source/top')
      // No faster than was asked for.
      const early = (sent / perSecond) * 1000 - (seconds * 1000 - (end - Date.now()))
      if (early > 0) await sleep(early)
    }
  }
  await Promise.all([...Array.from({ length: 8 }, send), pinging])
  const took = (Date.now() - end) / 1000 + seconds
  for (let wait = 0; wait < 100 && all.some(({ heard }) => heard.length < total); wait += 1) await sleep(100)
  const after = holdings(engine)
  const sorted = pings.toSorted((a, b) => a - b)
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0
  console.log(`  ${Math.round(total / took)} events a second, ping p99 ${p99.toFixed(1)} ms; ${shownHoldings(after)}`)
  for (const { close } of all) close()
  deaf.destroy()
  const wrong: string[] = []
  for (const { heard } of all) {
    if (heard.length !== total) wrong.push(`a listener heard ${heard.length} of ${total} events`)
    if (heard.some((time, at) => time < (heard[at - 1] ?? 0))) wrong.push('a listener heard them out of order')
  }
  if (after.memory > before.memory + 64 * 1024) wrong.push(`memory grew from ${before.memory} to ${after.memory} KiB`)
  return wrong
}
