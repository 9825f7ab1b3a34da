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

const compile = (cachedData: Buffer | undefined): Script => {
  const text = `(function (require, __dirname) {${readFileSync(program, 'latin1')}\n})`
  return new Script(text, { filename: program, ...(cachedData === undefined ? {} : { cachedData }) })
}

/** With every function in it, not only those of the first line; V8 compares its options when the code is used. */
function writeCache(): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8')
  setFlagsFromString('--no-lazy')
  const script = compile(undefined)
  setFlagsFromString('--lazy')
  writeFileSync(cache, script.createCachedData())
}

if (process.argv[2] === '--code-cache') writeCache()
else {
  const run = compile(readCache()).runInThisContext() as (load: unknown, place: string) => void
  run(require, directory)
}
