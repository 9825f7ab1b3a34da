/** Container networks. */
import * as z from 'zod'
import { isKind, messageOf } from '../base/errors.ts'
import type { Endpoint, Network } from '../network/network.ts'
import { empty, json } from './answer.ts'
import { endpointSettings } from './containers.schema.ts'
import type { Network as WireNetwork } from './contract/docker-store.ts'
import type { Engine } from './engine.ts'
import { invalid } from './errors.ts'
import type { Filters } from './filters.ts'
import { pruneOnce } from './prune-once.ts'
import { byId, filters, goObject, optionalFlag, optionalMap, optionalText } from './query.schema.ts'
import { route } from './route.ts'

const predefined = new Set(['bridge', 'host', 'none'])

const withPrefix = (address: string, length: number): string => (address === '' ? '' : `${address}/${length}`)

type Member = { containerId: string; containerName: string; endpoint: Endpoint }

/** Of host and none, who is on them is a matter of the containers alone. */
function membersOf(engine: Engine, network: Network): Member[] {
  if (network.driver !== 'host' && network.driver !== 'null') return engine.networks.members(network.id)
  return engine.containers
    .list()
    .flatMap(({ id, name, endpoints }) =>
      endpoints
        .filter(({ networkId }) => networkId === network.id)
        .map((endpoint) => ({ containerId: id, containerName: name, endpoint })),
    )
}

function networkView(engine: Engine, network: Network, members: boolean): WireNetwork {
  const on = members ? membersOf(engine, network) : []
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: network.enableIPv4,
    EnableIPv6: network.enableIPv6,
    IPAM: network.ipam,
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: network.configFrom ?? '' },
    ConfigOnly: network.configOnly ?? false,
    Containers: Object.fromEntries(
      on.map(({ containerId, containerName, endpoint }) => [
        containerId,
        {
          Name: containerName,
          EndpointID: endpoint.endpointId,
          MacAddress: endpoint.macAddress,
          IPv4Address: withPrefix(endpoint.ipAddress, endpoint.prefixLength),
          IPv6Address: withPrefix(endpoint.ipv6Address, endpoint.ipv6PrefixLength),
        },
      ]),
    ),
    Options: network.options,
    Labels: network.labels,
  }
}

function selected(engine: Engine, wanted: Filters): Network[] {
  wanted.only('dangling', 'driver', 'id', 'label', 'name', 'scope', 'type')
  for (const type of wanted.get('type'))
    if (type !== 'builtin' && type !== 'custom') throw invalid(`invalid filter: 'type'='${type}'`)
  const dangling = wanted.boolean('dangling')
  const isDangling = (network: Network): boolean =>
    !predefined.has(network.name) && engine.networks.members(network.id).length === 0
  return engine.networks
    .list()
    .filter(
      (network) =>
        wanted.any('driver', (driver) => driver === network.driver) &&
        wanted.any('scope', (scope) => scope === 'local') &&
        wanted.any('type', (type) => predefined.has(network.name) === (type === 'builtin')) &&
        wanted.pattern('name', [network.name]) &&
        wanted.pattern('id', [network.id]) &&
        (dangling === undefined || dangling === isDangling(network)) &&
        wanted.labels(network.labels),
    )
}

/** Wire fact 91: network events carry name and type. */
const announce = (engine: Engine, action: string, { id, name, driver }: Network): void =>
  engine.events.emit('network', action, id, { name, type: driver })

const list = route({
  method: 'GET',
  path: '/networks',
  query: z.object({ filters }),
  handle: (engine, { query }) =>
    json(selected(engine, query.filters).map((network) => networkView(engine, network, false))),
})

const inspect = route({
  method: 'GET',
  path: '/networks/{id}',
  params: byId,
  handle: (engine, { params }) => json(networkView(engine, engine.networks.get(params.id), true)),
})

const ipam = goObject({
  Driver: optionalText,
  Options: optionalMap,
  Config: z
    .array(
      goObject({
        Subnet: optionalText,
        IPRange: optionalText,
        Gateway: optionalText,
        AuxiliaryAddresses: optionalMap,
      }),
    )
    .exactOptional(),
})

const createBody = goObject({
  Name: z.string().default(''),
  Driver: optionalText,
  Scope: optionalText,
  Internal: optionalFlag,
  Attachable: optionalFlag,
  Ingress: optionalFlag,
  ConfigOnly: optionalFlag,
  ConfigFrom: goObject({ Network: optionalText }).exactOptional(),
  EnableIPv4: optionalFlag,
  EnableIPv6: optionalFlag,
  IPAM: ipam.exactOptional(),
  Options: optionalMap,
  Labels: optionalMap,
})

const create = route({
  method: 'POST',
  path: '/networks/create',
  body: createBody,
  handle: async (engine, { body }) => {
    if (body.Ingress === true || body.Scope === 'swarm')
      throw invalid('networks of a swarm cannot be made here: this engine is one machine')
    const request = {
      name: body.Name,
      ...(body.Driver ? { driver: body.Driver } : {}),
      ...(body.Internal === undefined ? {} : { internal: body.Internal }),
      ...(body.Attachable === undefined ? {} : { attachable: body.Attachable }),
      ...(body.EnableIPv4 === undefined ? {} : { enableIPv4: body.EnableIPv4 }),
      ...(body.EnableIPv6 === undefined ? {} : { enableIPv6: body.EnableIPv6 }),
      ...(body.IPAM === undefined ? {} : { ipam: body.IPAM }),
      ...(body.Options === undefined ? {} : { options: body.Options }),
      ...(body.Labels === undefined ? {} : { labels: body.Labels }),
      ...(body.ConfigOnly === true ? { configOnly: true } : {}),
      ...(body.ConfigFrom?.Network ? { configFrom: body.ConfigFrom.Network } : {}),
    }
    const network = await engine.networks.create(request)
    announce(engine, 'create', network)
    return json({ Id: network.id, Warning: engine.networks.warning(request) }, 201)
  },
})

const remove = route({
  method: 'DELETE',
  path: '/networks/{id}',
  params: byId,
  handle: async (engine, { params }) => {
    const network = engine.networks.get(params.id)
    await engine.networks.remove(network.id)
    announce(engine, 'destroy', network)
    return empty(204)
  },
})

const connect = route({
  method: 'POST',
  path: '/networks/{id}/connect',
  params: byId,
  body: goObject({ Container: z.string().default(''), EndpointConfig: endpointSettings.exactOptional() }),
  handle: async (engine, { params, body }) => {
    const network = engine.networks.get(params.id)
    await engine.containers.connect(body.Container, network.name, body.EndpointConfig ?? {})
    return empty(200)
  },
})

const disconnect = route({
  method: 'POST',
  path: '/networks/{id}/disconnect',
  params: byId,
  body: goObject({ Container: z.string().default(''), Force: z.boolean().default(false) }),
  handle: async (engine, { params, body }) => {
    const network = engine.networks.get(params.id)
    await engine.containers.disconnect(body.Container, network.name, body.Force)
    return empty(200)
  },
})

/** Networks that nobody is on, stopped containers included. */
export function unusedNetworks(engine: Engine, wanted: Filters): Network[] {
  const used = new Set(
    engine.containers
      .list()
      .flatMap(({ networks }) =>
        Object.entries(networks).flatMap(([name, { NetworkID }]) => [name, NetworkID ?? name]),
      ),
  )
  const all = engine.networks.list()
  const configurations = new Set(all.map(({ configFrom }) => configFrom))
  return all.filter(
    (network) =>
      !predefined.has(network.name) &&
      !configurations.has(network.name) &&
      !used.has(network.id) &&
      !used.has(network.name) &&
      wanted.labels(network.labels) &&
      wanted.olderThanUntil(network.created),
  )
}

async function pruneNetworks(engine: Engine, wanted: Filters): Promise<{ deleted: string[]; bytes: number }> {
  const deleted: string[] = []
  for (const network of unusedNetworks(engine, wanted))
    try {
      await engine.networks.remove(network.id)
      announce(engine, 'destroy', network)
      deleted.push(network.name)
    } catch (error) {
      // Somebody took it or removed it meanwhile: then it is not ours to prune.
      if (!isKind(error, 'not-found') && !isKind(error, 'forbidden') && !isKind(error, 'conflict'))
        throw new Error(`pruning network ${network.name}: ${messageOf(error)}`, { cause: error })
    }
  return { deleted, bytes: 0 }
}

const prune = route({
  method: 'POST',
  path: '/networks/prune',
  query: z.object({ filters: filters.transform((value) => value.only('label', 'label!', 'until')) }),
  handle: async (engine, { query }) => {
    const { deleted } = await pruneOnce(engine, 'network', () => pruneNetworks(engine, query.filters))
    return json({ NetworksDeleted: deleted.length === 0 ? null : deleted })
  },
})

export const networkRoutes = [list, inspect, create, remove, connect, disconnect, prune]
