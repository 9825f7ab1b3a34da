import type { ContainerSummary, Port } from '../../engine/api/contract/docker.ts'
import { shortId } from '../engine-client/format.ts'
import type { TreeNode } from './node.ts'

const projectLabel = 'com.docker.compose.project'

const looks: Record<string, { icon: string; color?: string; words: string }> = {
  created: { icon: 'circle-outline', words: 'created, not started' },
  running: { icon: 'play-circle', color: 'testing.iconPassed', words: 'running' },
  paused: { icon: 'debug-pause', color: 'charts.yellow', words: 'paused' },
  restarting: { icon: 'sync', color: 'charts.yellow', words: 'restarting' },
  removing: { icon: 'trash', words: 'being removed' },
  exited: { icon: 'circle-slash', words: 'exited' },
  dead: { icon: 'error', color: 'testing.iconFailed', words: 'dead' },
}

/** Without the slash that the API puts before it. */
export const nameOf = (container: ContainerSummary): string =>
  container.Names[0]?.replace(/^\//, '') || shortId(container.Id)

export const isRunning = (container: ContainerSummary): boolean =>
  container.State === 'running' || container.State === 'paused' || container.State === 'restarting'

/** TCP ports that can be reached from this machine, each once although IPv4 and IPv6 are listed apart. */
export function publishedPorts(container: ContainerSummary): Port[] {
  const seen = new Set<number>()
  return container.Ports.filter((port) => {
    if (port.PublicPort === undefined || port.Type !== 'tcp' || seen.has(port.PublicPort)) return false
    seen.add(port.PublicPort)
    return true
  })
}

/** Running ones first, then by name; those of one compose project stand together below its name. */
export function containerNodes(containers: readonly ContainerSummary[]): TreeNode[] {
  const projects = Map.groupBy(containers, (container) => container.Labels?.[projectLabel] ?? '')
  const single = (projects.get('') ?? []).toSorted(order).map(containerNode)
  const named = [...projects].filter(([project]) => project !== '').toSorted(([a], [b]) => a.localeCompare(b))
  return [...named.map(([project, members]) => projectNode(project, members.toSorted(order))), ...single]
}

const order = (a: ContainerSummary, b: ContainerSummary): number =>
  Number(isRunning(b)) - Number(isRunning(a)) || nameOf(a).localeCompare(nameOf(b))

function projectNode(project: string, members: ContainerSummary[]): TreeNode {
  const running = members.filter(isRunning).length
  const words = `${running} of ${members.length} running`
  return {
    id: `project:${project}`,
    label: project,
    description: words,
    icon: 'layers',
    spoken: `compose project ${project}, ${words}`,
    context: 'project',
    children: members.map(containerNode),
    expanded: true,
  }
}

function containerNode(container: ContainerSummary): TreeNode {
  const name = nameOf(container)
  const health = healthOf(container)
  const look = lookOf(container, health)
  const ports = publishedPorts(container)
  const reached = ports.map((port) => port.PublicPort)
  return {
    id: `container:${container.Id}`,
    label: name,
    description: [container.Image, lasting(container, health), reached.map((port) => `:${port}`).join(' ')]
      .filter((part) => part !== '')
      .join(' · '),
    tooltip: tooltipOf(container, name, ports),
    icon: look.icon,
    ...(look.color ? { color: look.color } : {}),
    spoken: [
      `container ${name}`,
      look.words,
      ...(health === '' ? [] : [health]),
      `image ${container.Image}`,
      ...(reached.length === 0 ? [] : [`port ${reached.join(' and ')}`]),
    ].join(', '),
    context: `container:${container.State}${ports.length > 0 ? ':ports' : ''}`,
    subject: { kind: 'container', container },
    command: { id: 'drydock.container.details', title: 'Show Details', arguments: [container.Id] },
  }
}

/** What its probes say: healthy, unhealthy, health: starting; empty where there are none. */
const healthOf = ({ Status }: ContainerSummary): string =>
  /\((healthy|unhealthy|health: starting)\)/.exec(Status)?.[1] ?? ''

/** One that is not well is to be seen without reading. */
function lookOf({ State }: ContainerSummary, health: string): { icon: string; color?: string; words: string } {
  const look = looks[State] ?? { icon: 'question', words: State }
  return health === 'unhealthy' ? { ...look, icon: 'warning', color: 'list.warningForeground' } : look
}

/** What of the state does not grow old while nothing happens: no "Up 2 minutes", since nobody would count on. */
function lasting({ State, Status }: ContainerSummary, health: string): string {
  if (State === 'exited') return /^Exited \(-?\d+\)/.exec(Status)?.[0].toLowerCase() ?? State
  return [State === 'running' ? '' : State, health].filter((part) => part !== '').join(', ')
}

function tooltipOf(container: ContainerSummary, name: string, ports: Port[]): string {
  const folder = container.Labels?.['drydock.folder']
  return [
    `${name} (${shortId(container.Id)})`,
    `Image: ${container.Image}`,
    `Command: ${container.Command}`,
    folder && `Folder: ${folder}`,
    ports.length > 0 && `Ports: ${ports.map((port) => `${port.PublicPort} → ${port.PrivatePort}`).join(', ')}`,
  ]
    .filter(Boolean)
    .join('\n')
}
