/**
 * Starts the command line from code that V8 has compiled before: parsing 0.3 MB takes longer than most verbs. Beside the
 * program lies `runtime-main.cache`, made by `runtime.cjs --code-cache` under the very Node and flags that it is for; V8 sees
 * by itself whether it fits, and compiles anew where it does not.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Script } from 'node:vm'

declare const require: unknown

const directory = dirname(process.argv[1] ?? '')
const program = join(directory, 'runtime-main.cjs')
const cache = join(directory, 'runtime-main.cache')

function readCache(): Buffer | undefined {
  try {
    return readFileSync(cache)
  } catch {
    // Not made yet: then it takes its time.
    return undefined
  }
}

const cachedData = readCache()
const text = `(function (require, __dirname) {${readFileSync(program, 'latin1')}\n})`
const script = new Script(text, { filename: program, ...(cachedData === undefined ? {} : { cachedData }) })
const run = script.runInThisContext() as (load: unknown, place: string) => void
if (process.argv[2] === '--code-cache') writeFileSync(cache, script.createCachedData())
else run(require, directory)
