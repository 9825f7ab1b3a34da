/** Filters, compiled once: the spawner meets a profile first, and every shim forked after that has it ready. */
import { arch } from 'node:process'
import { EngineError, messageOf } from '../base/errors.ts'
import { compileSeccomp, type SeccompFilter } from '../kernel/seccomp-program.ts'
import { formatConfig } from '../spec/config-json.ts'
import type { OciSeccomp, OciSpec } from '../spec/oci.ts'

/** By the settings as text, and by the very object: a container's further processes have its own at hand. */
const compiled = new Map<string, SeccompFilter>()
const ofObject = new WeakMap<OciSeccomp, SeccompFilter>()
/** Users have a handful of profiles; one that is made anew for every container must not fill the memory. */
const mostKept = 16

/**
 * What linux.seccomp asks for. Throws invalid for a profile that cannot be a program: so it is asked for once before
 * anything is made.
 */
export function filterOf({ linux }: OciSpec): SeccompFilter | undefined {
  const seccomp = linux?.seccomp
  if (seccomp === undefined) return undefined
  const filter = ofObject.get(seccomp) ?? compiledFilter(seccomp)
  ofObject.set(seccomp, filter)
  return filter
}

function compiledFilter(seccomp: OciSeccomp): SeccompFilter {
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
