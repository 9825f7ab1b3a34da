import type { Overview } from '../messages.ts'
import { definitions, element, table } from './dom.ts'

export function overviewTab(overview: Overview): HTMLElement {
  const mounts = overview.mounts.map((mount) => [mount.target, mount.source, mount.kind, mount.access])
  const environment = overview.environment.map(({ name, value }) => [name, value])
  return element(
    'div',
    {},
    definitions(overview.facts),
    mounts.length > 0
      ? table('Mounts', ['inside', 'from', 'kind', 'access'], mounts)
      : element('p', {}, 'Nothing is mounted.'),
    environment.length > 0 ? table('Environment', ['name', 'value'], environment) : null,
  )
}
