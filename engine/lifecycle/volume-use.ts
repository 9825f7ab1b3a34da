/** Which container uses which volume. */
import type { Container } from './container.ts'
import type { Engine } from './engine.ts'

/** Ids of the containers, in any state, that mount a volume; wire fact 158. */
export const usersOfVolume = (containers: readonly Container[], name: string): string[] =>
  containers
    .filter(({ mounts }) => mounts.some((mount) => mount.Type === 'volume' && mount.Name === name))
    .map(({ id }) => id)

export function announceVolumes(engine: Engine, action: 'mount' | 'unmount', container: Container): void {
  for (const mount of container.mounts) {
    if (mount.Type !== 'volume' || mount.Name === undefined) continue
    const attributes: Record<string, string> = { container: container.id, driver: mount.Driver ?? 'local' }
    if (action === 'mount')
      Object.assign(attributes, {
        destination: mount.Destination,
        'read/write': String(mount.RW),
        propagation: mount.Propagation,
      })
    engine.events.emit('volume', action, mount.Name, attributes)
  }
}
