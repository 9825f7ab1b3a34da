/** Containers that are run and removed, over and over: the engine must not keep anything of them. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestEngine } from '../engine/engine.ts'
import { residue, settled } from '../engine/residue.ts'
import { type Holdings, holdings, shownHoldings } from './holdings.ts'

const workers = 4
/** Shares of all cycles after which it is looked; by the second every heap has been as large as it gets. */
const looks = [0.25, 0.5, 0.75, 1]
/** Milliseconds after which the engine has given back what it needed for the work alone. */
const settling = 12_000

async function cycle(engine: TestEngine, name: string): Promise<void> {
  const ask = async (method: string, path: string, body?: object): Promise<void> => {
    const { status, text } = await engine.call(method, path, body === undefined ? {} : { body })
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`)
  }
  await ask('POST', `/containers/create?name=${name}`, { Image: 'host', Cmd: ['true'], Volumes: { '/v': {} } })
  await ask('POST', `/containers/${name}/start`)
  await ask('POST', `/containers/${name}/wait`)
  await ask('GET', `/containers/${name}/logs?stdout=1`)
  await ask('DELETE', `/containers/${name}?v=1`)
}

export async function cycles(engine: TestEngine, count: number): Promise<string[]> {
  await cycle(engine, 'first')
  const before = await settled(
    () => residue(engine),
    (lines) => !lines.some((line) => line.startsWith('trash')),
  )
  const seen: Holdings[] = []
  let done = 0
  for (const share of looks) {
    const end = Math.round(count * share)
    const work = async (): Promise<void> => {
      while (done < end) {
        done += 1
        await cycle(engine, `cycle-${done}`)
      }
    }
    await Promise.all(Array.from({ length: workers }, work))
    await settled(
      () => residue(engine).join(),
      (text) => text === before.join(),
    )
    await sleep(settling)
    seen.push(holdings(engine))
    console.log(`  after ${done}: ${shownHoldings(seen.at(-1) as Holdings)}`)
  }
  return grown(seen, before, residue(engine))
}

/** A heap breathes: a tenth and 8 MiB more than after the first half is no leak, one descriptor for each cycle is. */
function grown(seen: readonly Holdings[], before: readonly string[], after: readonly string[]): string[] {
  const [first, last] = [seen[1] as Holdings, seen.at(-1) as Holdings]
  const wrong: string[] = []
  if (last.memory > first.memory * 1.1 + 8192) wrong.push(`memory grew from ${first.memory} to ${last.memory} KiB`)
  for (const what of ['descriptors', 'threads', 'processes'] as const)
    if (last[what] > first[what] + 4) wrong.push(`${what} grew from ${first[what]} to ${last[what]}`)
  const left = after.filter((line) => !before.includes(line))
  if (left.length > 0) wrong.push(`left behind: ${left.slice(0, 10).join(', ')}`)
  return wrong
}
