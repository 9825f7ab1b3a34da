/** Which seccomp settings a container gets, from Docker's HostConfig. */
import { release } from 'node:os'
import { resolveCapabilities } from './capabilities.ts'
import type { OciSeccomp } from './oci.ts'
import { defaultSeccompProfile } from './seccomp-default.table.ts'
import { parseSeccompProfile } from './seccomp-parse.ts'
import { resolveSeccomp, type SeccompTarget } from './seccomp-profile.ts'

/** The part of HostConfig that matters, by its names. */
export type SeccompRequest = { Privileged?: boolean; CapAdd?: string[]; CapDrop?: string[]; SecurityOpt?: string[] }

/** `seccomp=…` or the older `seccomp:…`; the last one counts. */
function chosenProfile(options: readonly string[]): string | undefined {
  const values = options.flatMap((option) => /^seccomp[=:](.*)$/s.exec(option)?.[1] ?? [])
  return values.at(-1)
}

const machine = { arch: process.arch, kernel: release() }

/**
 * Undefined is no filter: asked for, or privileged without a profile of its own. Throws invalid for a profile that
 * cannot be read, unavailable on a processor without tables.
 */
export function seccompFor(
  request: SeccompRequest,
  target: Omit<SeccompTarget, 'capabilities'> = machine,
): OciSeccomp | undefined {
  const profile = chosenProfile(request.SecurityOpt ?? [])
  if (profile === 'unconfined' || (request.Privileged === true && profile === undefined)) return undefined
  const capabilities = resolveCapabilities({
    add: request.CapAdd ?? [],
    drop: request.CapDrop ?? [],
    privileged: request.Privileged === true,
  })
  const chosen = profile === undefined || profile === 'builtin' ? defaultSeccompProfile : parseSeccompProfile(profile)
  return resolveSeccomp(chosen, { ...target, capabilities })
}
