/** Filters, compiled once: the spawner meets a profile first, and every shim forked after that has it ready. */
import { arch } from 'node:process'
import { EngineError, messageOf } from '../base/errors.ts'
import { loadSeccomp as load } from '../kernel/seccomp.ffi.ts'
import { compileSeccomp, type SeccompFilter } from '../kernel/seccomp-program.ts'
import { formatConfig } from '../spec/config-json.ts'
import type { OciSeccomp } from '../spec/oci.ts'

const compiled = new Map<string, SeccompFilter>()
/** Users have a handful of profiles; one that is made anew for every container must not fill the memory. */
const mostKept = 16

/** Throws invalid for a profile that cannot be a program. */
export function compiledFilter(seccomp: OciSeccomp): SeccompFilter {
  const key = formatConfig({ linux: { seccomp } })
  const known = compiled.get(key)
  if (known !== undefined) return known
  try {
    const filter = compileSeccomp(seccomp, arch)
    if (compiled.size >= mostKept) compiled.delete(compiled.keys().next().value!)
    compiled.set(key, filter)
    return filter
  } catch (error) {
    throw error instanceof EngineError
      ? error
      : new EngineError('invalid', `linux.seccomp: ${messageOf(error)}`, { cause: error })
  }
}

/** A descriptor to answer notifications on, or -1 where the filter sends none. */
export const loadSeccomp = (seccomp: OciSeccomp): number => load(compiledFilter(seccomp))
