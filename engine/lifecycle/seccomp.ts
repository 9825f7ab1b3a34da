/** The seccomp filter of a container; wire fact 137. */
import { release } from 'node:os'
import { resolveCapabilities } from '../spec/capabilities.ts'
import type { OciSeccomp } from '../spec/oci.ts'
import { defaultSeccompProfile } from '../spec/seccomp-default.table.ts'
import { parseSeccompProfile } from '../spec/seccomp-parse.ts'
import { resolveSeccomp } from '../spec/seccomp-profile.ts'
import type { HostConfig } from './container.ts'
import { securityOptions } from './security-options.ts'

const resolved = new Map<string, OciSeccomp>()

/** undefined: unfiltered, as asked for or because it is privileged. The built-in profile depends on the capabilities. */
export function seccompFor(host: HostConfig): OciSeccomp | undefined {
  const { seccomp } = securityOptions(host.SecurityOpt ?? [])
  if (seccomp === 'unconfined' || host.Privileged === true) return undefined
  const capabilities = resolveCapabilities({ add: host.CapAdd ?? [], drop: host.CapDrop ?? [] })
  const target = { capabilities, arch: process.arch, kernel: release() }
  if (seccomp !== undefined) return resolveSeccomp(parseSeccompProfile(seccomp), target)
  const key = capabilities.join(' ')
  const known = resolved.get(key) ?? resolveSeccomp(defaultSeccompProfile, target)
  resolved.set(key, known)
  return known
}
