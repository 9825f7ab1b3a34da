/** HostConfig.SecurityOpt; wire fact 137. */
import { EngineError } from '../base/errors.ts'

export type SecurityOptions = {
  noNewPrivileges: boolean
  apparmor?: string
  /** `unconfined`, `builtin`, or the text of a profile; undefined where nothing was said. */
  seccomp?: string
  /** Nothing masked, nothing read-only. */
  openSystemPaths: boolean
}

/** `name=value` or the older `name:value`. Throws invalid, in dockerd's words. */
export function securityOptions(options: readonly string[]): SecurityOptions {
  const result: SecurityOptions = { noNewPrivileges: false, openSystemPaths: false }
  for (const option of options) {
    const separator = option.includes('=') ? '=' : ':'
    const at = option.indexOf(separator)
    const name = at === -1 ? option : option.slice(0, at)
    const value = at === -1 ? '' : option.slice(at + 1)
    switch (name) {
      case 'no-new-privileges':
        result.noNewPrivileges = booleanOf(option, value)
        break
      case 'seccomp':
        result.seccomp = value
        break
      case 'apparmor':
        result.apparmor = value
        break
      case 'systempaths':
        if (value !== 'unconfined')
          throw new EngineError('invalid', `invalid --security-opt 2: ${JSON.stringify(option)}`)
        result.openSystemPaths = true
        break
      case 'label':
        // SELinux: `disable` is what a machine without it does; anything else could not be honoured.
        if (value !== 'disable') throw new EngineError('invalid', 'SELinux labels are not supported by this engine')
        break
      default:
        throw new EngineError('invalid', `invalid --security-opt 2: ${JSON.stringify(option)}`)
    }
  }
  return result
}

function booleanOf(option: string, value: string): boolean {
  if (value === '' || value === 'true') return true
  if (value === 'false') return false
  throw new EngineError('invalid', `invalid --security-opt 2: ${JSON.stringify(option)}`)
}
