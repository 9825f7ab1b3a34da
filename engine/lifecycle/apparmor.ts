/**
 * The AppArmor profile of a container; apparmor(7). The engine runs no programs, and a profile is text that only
 * apparmor_parser(8) makes loadable: so it uses what the machine has loaded, a default unless another is named.
 */
import { readFileSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { never } from '../base/time.ts'
import type { Container, HostConfig } from './container.ts'
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

let enabled: boolean | undefined

/** Profiles come and go while the engine runs, so they are asked for anew; whether the kernel has any use for them is not. */
export function loadedProfiles(): LoadedProfiles {
  enabled ??= textOf('/sys/module/apparmor/parameters/enabled').startsWith('Y')
  if (!enabled) return undefined
  const lines = textOf('/sys/kernel/security/apparmor/profiles').split('\n')
  return new Set(lines.map((line) => line.replace(/ \([a-z]+\)$/, '')).filter((name) => name !== ''))
}

/** What `drydock setup` loads. */
export const ownProfile = 'drydock-default'

/** The first one that is loaded is it; dockerd's is of the same kind. */
const defaultProfiles = [ownProfile, 'docker-default']

export const loadedDefault = (loaded: LoadedProfiles): string | undefined =>
  defaultProfiles.find((name) => loaded?.has(name) === true)

/** undefined: none, because the kernel has no AppArmor or no default is loaded. */
function wanted({ SecurityOpt, Privileged }: HostConfig, loaded: LoadedProfiles): string | undefined {
  const { apparmor = '' } = securityOptions(SecurityOpt ?? [])
  if (apparmor === 'unconfined' || (apparmor === '' && Privileged === true))
    return loaded === undefined ? undefined : 'unconfined'
  return apparmor === '' ? loadedDefault(loaded) : apparmor
}

/** Throws invalid for one that was asked for by name and cannot be had. */
export function apparmorProfile(host: HostConfig, loaded: LoadedProfiles = loadedProfiles()): string | undefined {
  const profile = wanted(host, loaded)
  if (profile === undefined || profile === 'unconfined' || loaded?.has(profile) === true) return profile
  const why =
    loaded === undefined
      ? 'AppArmor is not enabled on this machine'
      : 'no profile of that name is loaded; apparmor_parser(8) loads one'
  throw new EngineError('invalid', `invalid --security-opt apparmor=${profile}: ${why}`)
}

/** As `docker inspect` shows it: of a container that has been started. */
export const shownProfile = ({ hostConfig, run }: Pick<Container, 'hostConfig' | 'run'>): string =>
  run.startedAt === never ? '' : (wanted(hostConfig, loadedProfiles()) ?? '')
