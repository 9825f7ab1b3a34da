/** Which container uses which volume. */
import type { Container } from './container.ts'
import type { Engine } from './engine.ts'

const claims = new WeakMap<Engine, Map<string, readonly string[]>>()

/** For as long as a container is being made, its volumes are its own already: removing one is refused. */
export function claimVolumes(engine: Engine, id: string, volumes: readonly string[]): Disposable {
  const claimed = claims.get(engine) ?? new Map<string, readonly string[]>()
  claims.set(engine, claimed.set(id, volumes))
  return { [Symbol.dispose]: () => claimed.delete(id) }
}

/** Ids of the containers, in any state or just being made, that mount a volume; wire fact 158. */
export function usersOfVolume(engine: Engine, name: string): string[] {
  const mounting = engine.table
    .list()
    .filter(({ mounts }) => mounts.some((mount) => mount.Type === 'volume' && mount.Name === name))
    .map(({ id }) => id)
  const making = [...(claims.get(engine) ?? [])].filter(([, volumes]) => volumes.includes(name)).map(([id]) => id)
  return [...new Set([...mounting, ...making])]
}

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
