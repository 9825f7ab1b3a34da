/** How long lists take that are long: a thousand containers that were made, two hundred that run. Prints, asserts sizes. */
import type { TestEngine } from '../engine/engine.ts'

const made = 1000
const running = 200
const tries = 20

async function median(engine: TestEngine, path: string): Promise<{ time: number; length: number }> {
  const times: number[] = []
  let length = 0
  for (let at = 0; at < tries; at += 1) {
    const began = performance.now()
    const response = await engine.open('GET', path)
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk as Buffer)
    times.push(performance.now() - began)
    length = (JSON.parse(Buffer.concat(chunks).toString()) as unknown[]).length
  }
  return { time: times.toSorted((a, b) => a - b)[tries / 2] ?? 0, length }
}

export async function lists(engine: TestEngine): Promise<string[]> {
  const wrong: string[] = []
  const body = { Image: 'host', Cmd: ['sleep', '3600'], HostConfig: { NetworkMode: 'none' } }
  for (let number = 0; number < made; number += 1)
    await engine.call('POST', `/containers/create?name=made-${number}`, { body })
  for (let number = 0; number < running; number += 1) await engine.call('POST', `/containers/made-${number}/start`)
  for (const [what, path, wanted] of [
    [`${made} created`, '/containers/json?all=1', made],
    [`${running} running`, '/containers/json', running],
  ] as const) {
    const { time, length } = await median(engine, path)
    console.log(`  ${what}: ${time.toFixed(1)} ms (median of ${tries})`)
    if (length !== wanted) wrong.push(`${what}: ${length} were listed`)
  }
  return wrong
}
