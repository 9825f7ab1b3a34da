/** What a container takes from its image where the user said nothing; wire fact 120. Pure. */
import { EngineError } from '../base/errors.ts'
import type { ImageRunConfig } from '../images/image.ts'
import type { ContainerConfig } from './container.ts'

const nameOf = (variable: string): string => variable.split('=', 1)[0] ?? ''

function mergeEnvironment(image: readonly string[], own: readonly string[]): string[] {
  const names = new Set(own.map(nameOf))
  return [...image.filter((variable) => !names.has(nameOf(variable))), ...own]
}

/** `[""]` is how a client says: none, and not the image's either. */
const isReset = (entrypoint: readonly string[]): boolean => entrypoint.length === 1 && entrypoint[0] === ''

function mergeCommand(image: ImageRunConfig, own: ContainerConfig): Pick<ContainerConfig, 'Cmd' | 'Entrypoint'> {
  const entrypoint = own.Entrypoint ?? []
  if (entrypoint.length > 0)
    return {
      ...(own.Cmd === undefined ? {} : { Cmd: own.Cmd }),
      ...(isReset(entrypoint) ? {} : { Entrypoint: entrypoint }),
    }
  const command = own.Cmd !== undefined && own.Cmd.length > 0 ? own.Cmd : image.Cmd
  return {
    ...(command === undefined ? {} : { Cmd: command }),
    // An empty list, unlike none, says that the image's is not wanted.
    ...(image.Entrypoint === undefined || own.Entrypoint ? {} : { Entrypoint: image.Entrypoint }),
  }
}

function mergeHealthcheck(image: ImageRunConfig, own: ContainerConfig): ImageRunConfig['Healthcheck'] {
  if (own.Healthcheck === undefined || image.Healthcheck === undefined) return own.Healthcheck ?? image.Healthcheck
  const given = Object.entries(own.Healthcheck).filter(([, value]) =>
    Array.isArray(value) ? value.length > 0 : value !== 0 && value !== undefined && value !== null,
  )
  return { ...image.Healthcheck, ...Object.fromEntries(given) }
}

export function mergeImage(image: ImageRunConfig, own: ContainerConfig): ContainerConfig {
  const { Cmd: _command, Entrypoint: _entrypoint, Healthcheck: _health, ...rest } = own
  const healthcheck = mergeHealthcheck(image, own)
  const stopSignal = own.StopSignal || image.StopSignal
  const stopTimeout = own.StopTimeout ?? image.StopTimeout
  const shell = own.Shell ?? image.Shell
  return {
    ...rest,
    ...mergeCommand(image, own),
    User: own.User || image.User || '',
    WorkingDir: own.WorkingDir || image.WorkingDir || '',
    Env: mergeEnvironment(image.Env ?? [], own.Env ?? []),
    ExposedPorts: { ...image.ExposedPorts, ...own.ExposedPorts },
    Volumes: { ...image.Volumes, ...own.Volumes },
    Labels: { ...image.Labels, ...own.Labels },
    ...(healthcheck === undefined ? {} : { Healthcheck: healthcheck }),
    ...(stopSignal ? { StopSignal: stopSignal } : {}),
    ...(stopTimeout === undefined ? {} : { StopTimeout: stopTimeout }),
    ...(shell === undefined ? {} : { Shell: shell }),
  }
}

/** Entrypoint and command as they are executed; wire fact 121. */
export function commandOf(config: ContainerConfig): { path: string; args: string[] } {
  const [path, ...args] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])]
  if (path === undefined || path === '') throw new EngineError('invalid', 'no command specified')
  return { path, args }
}
