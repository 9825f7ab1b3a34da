import type { NamespaceRow } from '../messages.ts'
import { element, table } from './dom.ts'

export function namespacesTab(rows: readonly NamespaceRow[]): HTMLElement {
  if (rows.length === 0) return element('p', {}, 'The container does not run: it has no namespaces.')
  const cells = rows.map((row) => [
    row.kind,
    row.meaning,
    String(row.id),
    element('span', { class: row.host ? 'badge warning' : 'badge' }, apartness(row)),
    members(row),
  ])
  return element('div', {}, table('Namespaces', ['kind', 'holds apart', 'id', 'shared with', 'processes'], cells))
}

function apartness(row: NamespaceRow): string {
  const others = row.shared.join(', ')
  if (row.host) return others ? `this machine, ${others}` : 'this machine'
  return others || 'nobody'
}

function members(row: NamespaceRow): HTMLElement {
  const lines = row.members.map((member) => {
    const owner = member.container ? ` (${member.container})` : ''
    return element('li', {}, `${member.pid} ${member.command}${owner}`)
  })
  const more = row.memberCount - row.members.length
  if (more > 0) lines.push(element('li', {}, `and ${more} more`))
  return element('details', {}, element('summary', {}, String(row.memberCount)), element('ul', {}, ...lines))
}
