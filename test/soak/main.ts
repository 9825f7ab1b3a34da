/**
 * What takes longer than a test may: hundreds of runs and kills of one engine, and what it holds before and after.
 *
 *   npm run soak -- [--cycles N] [--kills N] [--seconds N] [PART …]      parts: cycles listeners list kills
 */
import { parseArgs } from 'node:util'
import { TestEngine } from '../engine/engine.ts'
import { cycles } from './cycles.ts'
import { kills } from './kills.ts'
import { listeners } from './listeners.ts'
import { lists } from './lists.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cycles: { type: 'string', default: '1000' },
    kills: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '10' },
  },
})

const parts: Record<string, (engine: TestEngine) => Promise<string[]>> = {
  cycles: (engine) => cycles(engine, Number(values.cycles)),
  listeners: (engine) => listeners(engine, Number(values.seconds)),
  list: lists,
  kills: (engine) => kills(engine, Number(values.kills)),
}

let failed = false
for (const name of positionals.length > 0 ? positionals : Object.keys(parts)) {
  const part = parts[name]
  if (part === undefined) throw new Error(`no part ${JSON.stringify(name)}: there are ${Object.keys(parts).join(', ')}`)
  await using engine = await TestEngine.start()
  const began = performance.now()
  const wrong = await part(engine)
  for (const line of wrong) console.log(`  WRONG: ${line}`)
  console.log(`${name}: ${wrong.length === 0 ? 'as it should be' : 'not as it should be'}, ${seconds(began)} s`)
  failed ||= wrong.length > 0
}
process.exitCode = failed ? 1 : 0

function seconds(began: number): string {
  return ((performance.now() - began) / 1000).toFixed(1)
}
