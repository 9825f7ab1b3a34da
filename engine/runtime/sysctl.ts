/** linux.sysctl: only what belongs to one of the container's namespaces; runtime-spec config-linux.md, "Sysctl". */
import { EngineError, messageOf } from '../base/errors.ts'
import { writeProcFile } from './proc-file.ts'

/** Written through the container's own /proc/sys, before it becomes read-only. */
export function applySysctls(sysctls: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(sysctls)) {
    if (!/^[a-zA-Z0-9_.\-/]+$/.test(name) || name.includes('..'))
      throw new EngineError('invalid', `linux.sysctl: bad name ${JSON.stringify(name)}`)
    const path = name.includes('/') ? name : name.replaceAll('.', '/')
    try {
      writeProcFile(`sys/${path}`, value)
    } catch (error) {
      throw new EngineError(
        'invalid',
        `linux.sysctl: cannot set ${name} to ${JSON.stringify(value)}: ${messageOf(error)}`,
        { cause: error },
      )
    }
  }
}
