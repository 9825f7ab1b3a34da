/** A container's network, from HostConfig.NetworkMode and its endpoint settings to a namespace with links in it. */
import { EngineError, messageOf } from '../base/errors.ts'
import { isNoSpace, noSpace } from '../base/no-space.ts'
import type { Endpoint, EndpointRequest, Network } from '../network/network.ts'
import { span } from '../trace/trace.ts'
import type { Container, EndpointSettings } from './container.ts'
import { dnsNames, linkAliases } from './dns-names.ts'
import type { Engine } from './engine.ts'
import { idMapsOf } from './user-namespace.ts'

export type NetworkMode =
  | { kind: 'host' }
  | { kind: 'none' }
  | { kind: 'container'; reference: string }
  /** A namespace of its own, on the networks that the container names. */
  | { kind: 'own' }

export function networkMode(container: Pick<Container, 'hostConfig'>): NetworkMode {
  const mode = container.hostConfig.NetworkMode ?? 'bridge'
  if (mode === 'host') return { kind: 'host' }
  if (mode === 'none') return { kind: 'none' }
  if (mode.startsWith('container:')) return { kind: 'container', reference: mode.slice('container:'.length) }
  return { kind: 'own' }
}

export type NetworkSetup = {
  /** For the OCI spec; undefined is the host's own. */
  netnsPath: string | undefined
  endpoints: Endpoint[]
  /** There is none yet: it is made together with the container's user namespace, which must own it; user_namespaces(7). */
  madeWithContainer?: boolean
}

/**
 * All or nothing: what was attached before a failure is detached again.
 *
 * @param pid of the container's process, where its network was made with it
 */
export async function connectNetworks(engine: Engine, container: Container, pid?: number): Promise<NetworkSetup> {
  const mode = networkMode(container)
  const joins = mode.kind === 'container' || mode.kind === 'host'
  if (pid === undefined && !joins && idMapsOf(engine, container.hostConfig) !== undefined)
    return { netnsPath: undefined, endpoints: [], madeWithContainer: true }
  if (mode.kind === 'container') return { netnsPath: namespaceOf(engine, mode.reference), endpoints: [] }
  const netnsPath =
    mode.kind === 'host'
      ? undefined
      : await span('network', 'make namespace', () => engine.networks.createNamespace(container.id, pid))
  if (container.config.NetworkDisabled === true) return { netnsPath, endpoints: [] }
  try {
    const endpoints: Endpoint[] = []
    for (const [name, settings] of inOrder(container)) {
      const network = engine.networks.get(settings.NetworkID ?? name)
      const request = endpointRequest(container, network, settings, netnsPath ?? '')
      endpoints.push(await span('network', `attach to ${network.name}`, () => engine.networks.attach(request)))
    }
    return { netnsPath, endpoints: currentEndpoints(engine, { ...container, endpoints }) }
  } catch (error) {
    await disconnectNetworks(engine, container)
    throw networkFailure(error)
  }
}

/** As they are by now: ports move between a container's networks. Those without a link, of host and none, stay as they were. */
export const currentEndpoints = (
  engine: Engine,
  { id, endpoints }: Pick<Container, 'id' | 'endpoints'>,
): Endpoint[] => [...endpoints.filter(({ interfaceName }) => interfaceName === ''), ...engine.networks.endpointsOf(id)]

/** The network that the container was created on has the first interface. */
const inOrder = (container: Container): [string, EndpointSettings][] => {
  const all = Object.entries(container.networks)
  const main = ([name, { NetworkID }]: [string, EndpointSettings]): boolean =>
    [name, NetworkID].includes(container.hostConfig.NetworkMode)
  return [...all.filter(main), ...all.filter((one) => !main(one))]
}

export const failedNetworking = 'failed to set up container networking: '

function networkFailure(error: unknown): EngineError {
  const message = messageOf(error)
  if (isNoSpace(error)) return noSpace(`setting up container networking: ${message}`, error)
  return new EngineError(
    error instanceof EngineError ? error.kind : 'internal',
    message.startsWith(failedNetworking) ? message : `${failedNetworking}${message}`,
    { cause: error },
  )
}

function namespaceOf(engine: Engine, reference: string): string {
  const other = engine.table.get(reference)
  if (other.run.pid === 0)
    throw new EngineError('conflict', `cannot join network namespace of a non running container: ${other.id}`)
  return `/proc/${other.run.pid}/ns/net`
}

export function endpointRequest(
  container: Container,
  network: Network,
  settings: EndpointSettings,
  netnsPath: string,
): EndpointRequest {
  const { config, hostConfig } = container
  const mac = settings.MacAddress || (isMain(container, network) ? config.MacAddress : undefined)
  return {
    networkId: network.id,
    containerId: container.id,
    containerName: container.name,
    netnsPath,
    ...(settings.IPAMConfig?.IPv4Address ? { ipv4Address: settings.IPAMConfig.IPv4Address } : {}),
    ...(settings.IPAMConfig?.IPv6Address ? { ipv6Address: settings.IPAMConfig.IPv6Address } : {}),
    ...(mac ? { macAddress: mac } : {}),
    aliases: settings.Aliases ?? [],
    dnsNames: dnsNames(container, settings),
    links: linkAliases([...(isMain(container, network) ? (hostConfig.Links ?? []) : []), ...(settings.Links ?? [])]),
    gwPriority: settings.GwPriority ?? 0,
    linkLocalAddresses: settings.IPAMConfig?.LinkLocalIPs ?? [],
    driverOptions: settings.DriverOpts ?? {},
    ports: hostConfig.PortBindings ?? {},
    exposedPorts: Object.keys(config.ExposedPorts ?? {}),
    publishAllPorts: hostConfig.PublishAllPorts === true,
  }
}

const isMain = ({ hostConfig }: Container, network: Network): boolean =>
  hostConfig.NetworkMode === network.name || hostConfig.NetworkMode === network.id

/** Gives everything back; safe to repeat, and for one that never had any. */
export async function disconnectNetworks(engine: Engine, container: Container): Promise<void> {
  const mode = networkMode(container).kind
  if (mode === 'container') return
  await engine.networks.detach(container.id)
  if (mode !== 'host') await engine.networks.removeNamespace(container.id)
}

export const announceNetwork = (engine: Engine, action: string, container: Container, endpoint: Endpoint): void =>
  engine.events.emit('network', action, endpoint.networkId, {
    container: container.id,
    name: endpoint.networkName,
    type: engine.networks.get(endpoint.networkId).driver,
  })
