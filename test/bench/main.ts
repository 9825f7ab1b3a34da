/**
 * `npm run bench`: Drydock side by side with the engines and runtimes that this machine has, in one run: medians, and
 * how many times better ours is. Asserts nothing about time.
 * `npm run bench -- NAME…` takes only those measures, and `services` for all that are called `services-…`.
 */
import { execFileSync } from 'node:child_process'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { knownDockerd } from './known.table.ts'
import { type Measure, measures } from './measures.ts'
import { startPeers } from './peers.ts'
import { median, type Row, tableLines } from './result-table.ts'
import { runtimeMeasures, startRuntimes } from './runtimes.ts'
import { supervisedName, superviseRuns } from './supervised.ts'

const known = 'dockerd, elsewhere'

function chosen(names: readonly string[]): readonly Measure[] {
  const means = (name: string, measure: Measure): boolean => `${measure.name}-`.startsWith(`${name}-`)
  const unknown = names.filter((name) => !measures.some((measure) => means(name, measure)))
  if (unknown.length > 0)
    throw new Error(`no measure ${unknown.join(', ')}; there are ${measures.map(({ name }) => name).join(', ')}`)
  return names.length === 0 ? measures : measures.filter((measure) => names.some((name) => means(name, measure)))
}

const load = (): string => loadavg()[0]!.toFixed(2)

async function bench(names: readonly string[], stop: AbortSignal, interrupted: Promise<never>): Promise<void> {
  const wanted = chosen(names)
  const notes: string[] = []
  const rows: Row[] = []
  await using stack = new AsyncDisposableStack()
  const work = async (): Promise<void> => {
    for (const measure of wanted) await measure.prepare?.().catch((error) => notes.push(String(error)))
    const peers = await startPeers(stack, notes)
    const runtimes = await startRuntimes(stack, notes)
    for (const measure of wanted) {
      const values = new Map<string, number>()
      const attempt = async (name: string, work: () => Promise<void>): Promise<void> => {
        if (stop.aborted) return
        try {
          await work()
        } catch (error) {
          notes.push(`${name}, ${measure.name}: ${(error as Error).message}`)
          console.error(`  ${notes.at(-1)}`)
        }
      }
      const note = (name: string, take: (rounds: number) => number[] | Promise<number[]>): Promise<void> =>
        attempt(name, async () => {
          const warm = measure.warm ?? 0
          const numbers = await take(warm + measure.rounds)
          values.set(name, median(numbers.slice(Math.min(warm, numbers.length - 1))))
          console.error(`  ${name} ${values.get(name)?.toFixed(1)} ${measure.unit}`)
        })
      console.error(`${measure.name} … (load ${load()})`)
      if ('take' in measure) for (const [name, peer] of peers) await note(name, (rounds) => measure.take(peer, rounds))
      else {
        await using takers = new AsyncDisposableStack()
        const turns = new Map<string, () => number>()
        const numbers = new Map<string, number[]>()
        for (const [name, peer] of peers)
          await attempt(name, async () => void turns.set(name, takers.use(await measure.ready(peer)).turn))
        for (let round = (measure.warm ?? 0) + measure.rounds; round > 0; round -= 1)
          for (const [name, turn] of turns)
            await attempt(name, async () => void numbers.set(name, [...(numbers.get(name) ?? []), turn()]))
        for (const [name, found] of numbers) await note(name, () => found)
      }
      const ofRuntime = runtimeMeasures[measure.name]
      if (ofRuntime !== undefined)
        for (const [name, runtime] of runtimes) await note(name, (rounds) => ofRuntime(runtime, rounds))
      if (measure.name === 'run-none') await note(supervisedName, superviseRuns)
      const reference = knownDockerd[measure.name]
      if (reference !== undefined && !peers.has('dockerd')) values.set(known, reference)
      rows.push({ title: `${measure.name}: ${measure.title}`, unit: measure.unit, values })
    }
    if (stop.aborted) return
    const columns = [...peers.keys(), supervisedName, ...runtimes.keys(), ...(peers.has('dockerd') ? [] : [known])]
    console.log(`\n${tableLines(columns, rows).join('\n')}\n\nload now ${load()}; (N×): ours is N times better`)
    for (const line of notes) console.log(line)
  }
  await Promise.race([work(), interrupted])
}

const stop = new AbortController()
const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      stop.abort()
      reject(new Error(`ended by ${signal}; what was started is taken away`))
    })
})
interrupted.catch(() => {})

try {
  if (process.getuid?.() !== 0) throw new Error('needs root')
  execFileSync(process.execPath, [join(import.meta.dirname, '../../.ci/build.mjs')], { stdio: 'inherit' })
  await bench(process.argv.slice(2), stop.signal, interrupted)
  process.exit(0)
} catch (error) {
  console.error((error as Error).message)
  process.exit(1)
}
