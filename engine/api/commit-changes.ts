/** What `docker commit` makes of a container's configuration. */
import { applyChanges } from '../images/config-changes.ts'
import type { ImageRunConfig } from '../images/image.ts'
import type { ContainerConfig } from '../lifecycle/container.ts'

/** The part of a container's configuration that an image keeps, with what the request says on top. */
export function changed(
  container: ContainerConfig,
  body: Partial<ContainerConfig>,
  changes: readonly string[],
): ImageRunConfig {
  const config: ImageRunConfig = {}
  const merged = { ...container, ...body }
  const kept = [
    'User',
    'ExposedPorts',
    'Env',
    'Entrypoint',
    'Cmd',
    'Volumes',
    'WorkingDir',
    'Labels',
    'StopSignal',
    'StopTimeout',
    'Shell',
    'Healthcheck',
    'OnBuild',
  ] as const
  for (const key of kept) if (merged[key] !== undefined) Object.assign(config, { [key]: merged[key] })
  return applyChanges(config, changes)
}
