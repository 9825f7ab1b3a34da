import type { ContainerInspect, Health } from '../../engine/api/contract/docker.ts'
import type { NamespaceList, TraceSpan } from '../../engine/api/contract/drydock.ts'
import type { NamespaceRow, Overview, SpanRow } from '../../webview/messages.ts'
import { counted, shortId } from '../engine-client/format.ts'
import { namespaceMeaning } from '../views/system-nodes.ts'
import { limitTexts } from './limits-request.ts'

const membersShown = 50

/** Docker's zero time. */
const never = '0001-01-01T00:00:00Z'

export function overviewOf(inspect: ContainerInspect): Overview {
  return {
    id: inspect.Id,
    name: inspect.Name.replace(/^\//, ''),
    state: stateWords(inspect),
    running: inspect.State.Running,
    paused: inspect.State.Paused,
    published: portsOf(inspect).length > 0,
    facts: factsOf(inspect).map(([name, value]) => ({ name, value })),
    environment: (inspect.Config.Env ?? []).map((pair) => {
      const [name = '', ...value] = pair.split('=')
      return { name, value: value.join('=') }
    }),
    mounts: inspect.Mounts.map((mount) => ({
      source: mount.Name ?? mount.Source,
      target: mount.Destination,
      kind: mount.Type,
      access: mount.RW ? 'read and write' : 'read only',
    })),
    limits: limitTexts(inspect.HostConfig),
  }
}

/** To the second: the nanoseconds of the API are nobody's to read. Undefined where it has not happened. */
const moment = (time: string): string | undefined =>
  time === never ? undefined : time.replace(/^(.{10})T(.{8}).*$/, '$1 $2 UTC')

function factsOf(inspect: ContainerInspect): [string, string][] {
  const { State, Config, HostConfig } = inspect
  const networks = Object.entries(inspect.NetworkSettings.Networks ?? {})
  const facts: [string, string | undefined][] = [
    ['Id', shortId(inspect.Id)],
    ['Image', Config.Image],
    ['Command', [inspect.Path, ...inspect.Args].join(' ')],
    ['Working folder', Config.WorkingDir],
    ['User', Config.User],
    ['Host name', Config.Hostname],
    ['First process', State.Running ? String(State.Pid) : undefined],
    ['Created', moment(inspect.Created)],
    ['Started', moment(State.StartedAt)],
    ['Ended', State.Running ? undefined : moment(State.FinishedAt)],
    ['Ports', portsOf(inspect).join(', ')],
    ['Networks', networks.map(([name, end]) => (end.IPAddress ? `${name} (${end.IPAddress})` : name)).join(', ')],
    ['Restart policy', HostConfig.RestartPolicy?.Name],
    ['Health', healthWords(State.Health)],
    ['Last probe', lastProbe(State.Health)],
    ['Restarts', inspect.RestartCount > 0 ? String(inspect.RestartCount) : undefined],
  ]
  return facts.filter((fact): fact is [string, string] => Boolean(fact[1]))
}

const portsOf = (inspect: ContainerInspect): string[] =>
  Object.entries(inspect.NetworkSettings.Ports ?? {}).flatMap(([inside, bindings]) =>
    (bindings ?? []).map((binding) => `${binding.HostIp || '*'}:${binding.HostPort} → ${inside}`),
  )

/** None where the container has no health check. */
function healthWords(health: Health | undefined): string | undefined {
  if (health === undefined || health.FailingStreak === 0) return health?.Status
  return `${health.Status}, ${counted(health.FailingStreak, 'failure')} in a row`
}

function lastProbe(health: Health | undefined): string | undefined {
  const last = health?.Log?.at(-1)
  if (last === undefined) return undefined
  const said = last.Output.trim()
  return [`${moment(last.End)}, exit code ${last.ExitCode}`, ...(said === '' ? [] : [said])].join(': ')
}

function stateWords({ State }: ContainerInspect): string {
  if (State.Paused) return 'paused'
  if (State.Running && State.Health) return `${State.Status}, ${State.Health.Status}`
  if (State.Running || State.Status === 'created') return State.Status
  const why = State.OOMKilled ? ', out of memory' : ''
  return `${State.Status} with code ${State.ExitCode}${why}${State.Error ? `: ${State.Error}` : ''}`
}

/** Whose namespaces these are is `containerId`: it is not counted among those it shares with. */
export const namespaceRows = (list: NamespaceList, containerId: string): NamespaceRow[] =>
  list.Namespaces.toSorted((a, b) => a.Type.localeCompare(b.Type)).map((namespace) => {
    const others = namespace.Members.filter((member) => member.ContainerId !== containerId)
    return {
      kind: namespace.Type,
      meaning: namespaceMeaning[namespace.Type] ?? '',
      id: namespace.Id,
      host: namespace.Host,
      memberCount: namespace.Members.length,
      members: namespace.Members.slice(0, membersShown).map((member) => ({
        pid: member.Pid,
        command: member.Command,
        container: member.ContainerName,
      })),
      shared: [...new Set(others.map((member) => member.ContainerName).filter((name) => name !== null))].toSorted(),
    }
  })

/** Spans in order of their start, each as deep as the spans that hold it; times count from the first. */
export function spanRows(spans: readonly TraceSpan[]): { rows: SpanRow[]; total: number } {
  const ordered = spans.toSorted((a, b) => a.Start - b.Start || b.End - a.End)
  const origin = ordered[0]?.Start ?? 0
  const open: number[] = []
  const rows = ordered.map((span) => {
    while (open.length > 0 && open.at(-1)! < span.End) open.pop()
    const depth = open.length
    open.push(span.End)
    return { layer: span.Layer, name: span.Name, depth, start: span.Start - origin, duration: span.End - span.Start }
  })
  return { rows, total: Math.max(0, ...rows.map((row) => row.start + row.duration)) }
}
