/** What a container is called on a network, the name that its address leads back to first; wire facts 147 and 150. Pure. */
import type { Container, EndpointSettings } from './container.ts'

export const dnsNames = (
  { id, name, config }: Pick<Container, 'id' | 'name' | 'config'>,
  settings: EndpointSettings,
): string[] => {
  const names = [name, ...(settings.Aliases ?? []), id.slice(0, 12)]
  if (config.Hostname !== undefined && config.Hostname !== '') names.push(config.Hostname)
  return [...new Set(names)]
}

/** `container:alias`, or one name for both: the container's own aliases for others on the network. */
export const linkAliases = (links: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    links.map((link) => {
      const [name = '', alias = name] = link.split(':')
      return [alias.replace(/^\//, ''), name.replace(/^\//, '')]
    }),
  )
