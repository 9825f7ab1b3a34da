/** Which containers a list means; a pure function of the containers and the question. */
import type { Container } from '../lifecycle/container.ts'
import type { Containers } from '../lifecycle/containers.ts'
import { portsOf } from './container-view.ts'
import { invalid } from './errors.ts'
import type { Filters } from './filters.ts'

const known = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
] as const

const healthStates = ['none', 'starting', 'healthy', 'unhealthy']
const states = ['created', 'restarting', 'running', 'removing', 'paused', 'exited', 'dead']

/** What containers are created from, as far as the `ancestor` filter asks: reference → image id, undefined for none. */
export type ImageIdOf = (reference: string) => string | undefined

/** The name of a network by its name, id or the beginning of one; undefined for none. */
export type NetworkNameOf = (reference: string) => string | undefined

export type Lookups = { imageIdOf: ImageIdOf; networkNameOf: NetworkNameOf }

export type ListQuery = { all: boolean; limit: number | undefined; filters: Filters }

/** `80`, `80/tcp`, `80-90/udp` against a port and protocol. */
function matchesPort(value: string, port: number, protocol: string): boolean {
  const parsed = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(value)
  if (parsed === null) throw invalid(`invalid port: ${JSON.stringify(value)}`)
  const [, from, to = from, wanted = 'tcp'] = parsed
  return port >= Number(from) && port <= Number(to) && protocol === wanted
}

const matchesExposed = (value: string, container: Container): boolean =>
  Object.keys(container.config.ExposedPorts ?? {}).some((key) => {
    const [port, protocol = 'tcp'] = key.split('/')
    return matchesPort(value, Number(port), protocol)
  })

const matchesPublished = (value: string, container: Container): boolean =>
  Object.entries(portsOf(container)).some(([key, bindings]) => {
    const [port, protocol = 'tcp'] = key.split('/')
    return (
      (bindings ?? []).length > 0 &&
      (matchesPort(value, Number(port), protocol) ||
        (bindings ?? []).some((binding) => matchesPort(value, Number(binding.HostPort), protocol)))
    )
  })

function matchesNetwork(value: string, container: Container, networkNameOf: NetworkNameOf): boolean {
  const wanted = networkNameOf(value)
  return Object.entries(container.networks).some(
    ([name, { NetworkID = '' }]) => name === value || name === wanted || (NetworkID !== '' && NetworkID === value),
  )
}

const matchesVolume = (value: string, container: Container): boolean =>
  container.mounts.some((mount) => mount.Name === value || mount.Destination === value)

function validate(filters: Filters): void {
  filters.only(...known)
  for (const status of filters.get('status'))
    if (!states.includes(status)) throw invalid(`invalid filter 'status=${status}'`)
  for (const value of filters.get('health'))
    if (!healthStates.includes(value)) throw invalid(`unrecognized filter value for health: ${value}`)
  for (const code of filters.get('exited'))
    if (!/^-?\d+$/.test(code)) throw invalid(`invalid filter 'exited=[${code}]'`)
}

/** Containers as `GET /containers/json` lists them. `status` and `limit` include stopped ones. */
export function listed(containers: Containers, query: ListQuery, lookups: Lookups): Container[] {
  const { filters } = query
  validate(filters)
  const limit = query.limit !== undefined && query.limit > 0 ? query.limit : undefined
  const all = query.all || limit !== undefined || filters.has('status') || filters.has('exited')
  const bound = (key: 'before' | 'since'): Container | undefined => {
    const reference = filters.get(key)[0]
    return reference === undefined ? undefined : containers.get(reference)
  }
  const before = bound('before')
  const since = bound('since')
  const passes = (container: Container): boolean =>
    (all || ['running', 'paused', 'restarting'].includes(container.run.state)) &&
    (before === undefined || container.created < before.created) &&
    (since === undefined || container.created > since.created) &&
    filters.any('status', (value) => value === container.run.state) &&
    filters.any('exited', (value) => container.run.state === 'exited' && container.run.exitCode === Number(value)) &&
    filters.pattern('name', [container.name, `/${container.name}`]) &&
    filters.pattern('id', [container.id]) &&
    filters.any(
      'ancestor',
      (value) => lookups.imageIdOf(value) === container.imageId || container.config.Image === value,
    ) &&
    filters.any('health', (value) => value === (container.run.health?.status ?? 'none')) &&
    filters.any('is-task', (value) => /^(0|f|false)$/i.test(value)) &&
    filters.any('isolation', (value) => value === 'default' || value === '') &&
    filters.any('network', (value) => matchesNetwork(value, container, lookups.networkNameOf)) &&
    filters.any('volume', (value) => matchesVolume(value, container)) &&
    filters.any('expose', (value) => matchesExposed(value, container)) &&
    filters.any('publish', (value) => matchesPublished(value, container)) &&
    filters.labels(container.config.Labels ?? {})
  return containers.list().filter(passes).slice(0, limit)
}
