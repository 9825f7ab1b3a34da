/** Memory that a process holds and does not use: malloc_trim(3). */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { declarePlain } from './libc.ffi.ts'

const cMallocTrim = declarePlain('int malloc_trim(size_t pad)')

/**
 * Collects garbage and gives free pages back to the kernel: after a start, whose parsing and reading is never needed
 * again. Takes some tens of milliseconds.
 */
export function returnUnusedMemory(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  setFlagsFromString('--no-expose-gc')
  collect()
  cMallocTrim(0)
}
