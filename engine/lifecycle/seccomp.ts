/** The seccomp filter of a container; wire fact 137. */
import { release } from 'node:os'
import { compileSeccomp } from '../kernel/seccomp-program.ts'
import { resolveCapabilities } from '../spec/capabilities.ts'
import type { OciSeccomp } from '../spec/oci.ts'
import { defaultSeccompProfile } from '../spec/seccomp-default.table.ts'
import { parseSeccompProfile } from '../spec/seccomp-parse.ts'
import { resolveSeccomp, type SeccompTarget } from '../spec/seccomp-profile.ts'
import type { HostConfig } from './container.ts'
import { securityOptions } from './security-options.ts'

const resolved = new Map<string, OciSeccomp>()
const machine = { arch: process.arch, kernel: release() }

/**
 * undefined: unfiltered, as asked for or because it is privileged and names no profile. What a profile allows may depend on
 * the capabilities. Throws invalid for a profile that cannot be read.
 */
export function seccompFor(
  host: HostConfig,
  on: Omit<SeccompTarget, 'capabilities'> = machine,
): OciSeccomp | undefined {
  const { seccomp } = securityOptions(host.SecurityOpt ?? [])
  const privileged = host.Privileged === true
  if (seccomp === 'unconfined' || (privileged && seccomp === undefined)) return undefined
  const capabilities = resolveCapabilities({ add: host.CapAdd ?? [], drop: host.CapDrop ?? [], privileged })
  const target = { ...on, capabilities }
  if (seccomp !== undefined && seccomp !== 'builtin') return resolveSeccomp(parseSeccompProfile(seccomp), target)
  const key = [on.arch, on.kernel, ...capabilities].join(' ')
  const known = resolved.get(key) ?? resolveSeccomp(defaultSeccompProfile, target)
  resolved.set(key, known)
  return known
}

/** Throws invalid, by field, for a user's profile that cannot become a filter on this machine. */
export function checkSeccomp(host: HostConfig): void {
  const { seccomp } = securityOptions(host.SecurityOpt ?? [])
  if (seccomp === undefined || seccomp === 'unconfined' || seccomp === 'builtin') return
  const settings = seccompFor(host)
  if (settings !== undefined) compileSeccomp(settings, machine.arch)
}
