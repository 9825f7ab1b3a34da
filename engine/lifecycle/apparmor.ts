/**
 * The AppArmor profile of a container; apparmor(7). The engine runs no programs, and a profile is text that only
 * apparmor_parser(8) makes loadable: so it uses what the machine has loaded, `docker-default` unless another is named.
 */
import { readFileSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import type { HostConfig } from './container.ts'
import { securityOptions } from './security-options.ts'

/** What the kernel says: undefined where AppArmor is off, else the names of the loaded profiles. */
export type LoadedProfiles = ReadonlySet<string> | undefined

const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Not compiled in, or securityfs is not mounted: nothing can be used then.
    return ''
  }
}

/** Asked anew each time: profiles come and go while the engine runs. */
export function loadedProfiles(): LoadedProfiles {
  if (!textOf('/sys/module/apparmor/parameters/enabled').startsWith('Y')) return undefined
  const lines = textOf('/sys/kernel/security/apparmor/profiles').split('\n')
  return new Set(lines.map((line) => line.replace(/ \([a-z]+\)$/, '')).filter((name) => name !== ''))
}

export const defaultProfile = 'docker-default'

/**
 * undefined: none, because the kernel has no AppArmor or the default is not loaded. Throws invalid for one that was asked
 * for by name and cannot be had.
 */
export function apparmorProfile(host: HostConfig, loaded: LoadedProfiles = loadedProfiles()): string | undefined {
  const { apparmor = '' } = securityOptions(host.SecurityOpt ?? [])
  if (apparmor === 'unconfined' || (apparmor === '' && host.Privileged === true))
    return loaded === undefined ? undefined : 'unconfined'
  if (apparmor === '') return loaded?.has(defaultProfile) === true ? defaultProfile : undefined
  if (loaded === undefined)
    throw new EngineError(
      'invalid',
      `invalid --security-opt apparmor=${apparmor}: AppArmor is not enabled on this machine`,
    )
  if (!loaded.has(apparmor))
    throw new EngineError(
      'invalid',
      `invalid --security-opt apparmor=${apparmor}: no profile of that name is loaded; apparmor_parser(8) loads one`,
    )
  return apparmor
}
