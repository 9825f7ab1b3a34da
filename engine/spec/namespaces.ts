/** Which namespaces a container has for itself, joins, or shares with the machine; and what depends on that. */
import { EngineError } from '../base/errors.ts'
import { linuxStep, type SpecStep } from './build.ts'
import { privateNetworkSysctls } from './defaults.table.ts'
import type { OciIdMapping, OciNamespaceType, OciSpec } from './oci.ts'

const without = (spec: OciSpec, type: OciNamespaceType): { type: OciNamespaceType; path?: string }[] =>
  (spec.linux?.namespaces ?? []).filter((namespace) => namespace.type !== type)

/** A new namespace, or with a path (`/proc/PID/ns/net`) the one found there. */
export const withNamespace =
  (type: OciNamespaceType, path?: string): SpecStep =>
  (spec) =>
    linuxStep((linux) => ({
      ...linux,
      namespaces: [...without(spec, type), path === undefined ? { type } : { type, path }],
    }))(spec)

/** The machine's own: no isolation of this kind. */
export const withHostNamespace =
  (type: OciNamespaceType): SpecStep =>
  (spec) =>
    linuxStep((linux) => ({ ...linux, namespaces: without(spec, type) }))(spec)

export const hasOwnNamespace = (spec: OciSpec, type: OciNamespaceType): boolean =>
  spec.linux?.namespaces?.some((namespace) => namespace.type === type && namespace.path === undefined) === true

/** A new user namespace; the mappings say whom its users are outside. */
export const withUserNamespace =
  (uidMappings: readonly OciIdMapping[], gidMappings: readonly OciIdMapping[]): SpecStep =>
  (spec) => {
    if (uidMappings.length === 0 || gidMappings.length === 0)
      throw new EngineError('invalid', 'a user namespace needs at least one uid and one gid mapping')
    const linux = withNamespace('user')(spec)
    return linuxStep((known) => ({ ...known, uidMappings: [...uidMappings], gidMappings: [...gidMappings] }))(linux)
  }

/** uname(2): at most 64 bytes. Needs an UTS namespace of the container's own. */
export const withHostname = (hostname: string, domainname = ''): SpecStep => {
  for (const name of [hostname, domainname])
    if (Buffer.byteLength(name) > 64 || name.includes('\0'))
      throw new EngineError('invalid', `invalid hostname ${JSON.stringify(name)}: at most 64 bytes are possible`)
  return (spec) => ({ ...spec, hostname, ...(domainname === '' ? {} : { domainname }) })
}

const ipcSysctls: ReadonlySet<string> = new Set([
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
])

const sysctlName = /^[a-z0-9_*-]+([./][A-Za-z0-9_*-]+)+$/

/** The namespace a sysctl belongs to, dots or slashes between its parts; undefined where it is the whole machine's. */
export function sysctlNamespace(name: string): OciNamespaceType | undefined {
  const sysctl = name.replaceAll('/', '.')
  if (!sysctlName.test(sysctl)) return undefined
  if (sysctl.startsWith('net.')) return 'network'
  if (ipcSysctls.has(sysctl) || sysctl.startsWith('fs.mqueue.')) return 'ipc'
  if (sysctl === 'kernel.domainname' || sysctl === 'kernel.hostname') return 'uts'
  return undefined
}

/** Only what a namespace of the container keeps to itself; must come after the steps that choose namespaces. */
export const withSysctls =
  (sysctls: Readonly<Record<string, string>>): SpecStep =>
  (spec) => {
    for (const name of Object.keys(sysctls)) {
      const type = sysctlNamespace(name)
      const separate = spec.linux?.namespaces?.some((namespace) => namespace.type === type) === true
      if (type === undefined || !separate)
        throw new EngineError('invalid', `sysctl ${JSON.stringify(name)} is not in a separate kernel namespace`)
    }
    return linuxStep((linux) => ({ ...linux, sysctl: { ...linux.sysctl, ...sysctls } }))(spec)
  }

/**
 * Those Docker sets where the network namespace is the container's own; a user's own value for one wins. The group
 * range has no meaning for groups a user namespace does not map, and the kernel refuses it there.
 */
export const withNetworkSysctls = (): SpecStep => (spec) => {
  if (!hasOwnNamespace(spec, 'network')) return spec
  const mapped = spec.linux?.namespaces?.some((namespace) => namespace.type === 'user') === true
  const wanted = Object.entries(privateNetworkSysctls).filter(([name]) => !mapped || !name.endsWith('ping_group_range'))
  return linuxStep((linux) => ({ ...linux, sysctl: { ...Object.fromEntries(wanted), ...linux.sysctl } }))(spec)
}
