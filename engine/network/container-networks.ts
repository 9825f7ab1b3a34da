import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { hostname } from 'node:os'
import type { Database } from '../base/database.ts'
import { EngineError, messageOf } from '../base/errors.ts'
import { inNetworkNamespace } from '../kernel/namespaces.ffi.ts'
import { parseResolvConf } from '../resolver/resolv-conf.ts'
import { links } from './bridge.ts'
import { defineConfiguration, refuseUsedConfiguration, withConfiguration } from './configuration-network.ts'
import {
  checkRequest,
  defineNetwork,
  isPredefined,
  networkWarning,
  predefinedNetworks,
  type Site,
} from './define-network.ts'
import { dial } from './dial.ts'
import { EndpointDriver } from './endpoint-driver.ts'
import { instanceNames } from './instance-names.ts'
import { plainEndpoint } from './lease.ts'
import { type ContainerFiles, type HostFiles, nameFiles } from './name-files.ts'
import { NameRegistry } from './name-registry.ts'
import type {
  CreateNetwork,
  Endpoint,
  EndpointRequest,
  InterfaceCounters,
  NameFiles,
  Network,
  Networks,
} from './network.ts'
import { NetworkNamespaces } from './network-namespaces.ts'
import { spacesOf } from './network-plan.ts'
import { NetworkStore, type StoredEndpoint, type StoredNetwork } from './network-store.ts'
import { foreignForwardDrops } from './packet-filter.ts'
import { parentSettings } from './parent-settings.ts'

export type ContainerNetworksOptions = {
  /** Opened with `networkSchema`. */
  database: Database
  execRoot: string
  /** '' for the machine's own installation; else what tells this engine's links and rules from another's. */
  instance: string
}

/**
 * Networks over netlink. Precondition: root, on the main thread; the kernel work is synchronous and takes a millisecond
 * or two. Bridges are made when the first container needs them.
 */
export class ContainerNetworks implements Networks {
  readonly #store: NetworkStore
  readonly #driver: EndpointDriver
  readonly #namespaces: NetworkNamespaces
  readonly #names: NameRegistry
  readonly #site: Site
  /** Networks whose bridge is on its way out: nobody comes any more. */
  readonly #leaving = new Set<string>()

  constructor({ database, execRoot, instance }: ContainerNetworksOptions) {
    const names = instanceNames(instance)
    this.#site = { identifier: siteIdentifier(instance) }
    this.#store = new NetworkStore(database)
    this.#driver = new EndpointDriver(this.#store, names, execRoot)
    this.#namespaces = new NetworkNamespaces(execRoot)
    this.#names = new NameRegistry(this.#store, execRoot)
    this.#store.transaction(() => {
      if (this.#store.named('bridge') !== undefined) return
      for (const network of predefinedNetworks(names.defaultBridge, this.#driver.takenSubnets()))
        this.#store.add(network)
    })
  }

  get(reference: string): Network {
    return withoutBridge(this.#store.find(reference))
  }

  list(): Network[] {
    return this.#store.networks().map(withoutBridge)
  }

  warning(request: CreateNetwork): string {
    return networkWarning(request)
  }

  async create(request: CreateNetwork): Promise<Network> {
    const network = this.#store.transaction(() => {
      const existing = this.#store.networks()
      if (!isPredefined(request.name) && existing.some(({ name }) => name === request.name))
        throw new EngineError('conflict', `network with name ${request.name} already exists`)
      const others = existing.flatMap((other) => spacesOf(other).map(({ subnet }) => subnet))
      const taken = this.#driver.takenSubnets()
      const defined =
        request.configOnly === true
          ? checkedConfiguration(request)
          : this.#withOwnLink(defineNetwork(this.#whole(request), { others, taken, site: this.#site }), existing)
      this.#store.add(defined)
      return defined
    })
    if (network.configOnly === true) return withoutBridge(network)
    try {
      this.#driver.activate(network)
    } catch (error) {
      this.#store.remove(network.id)
      await this.#driver.deactivate(network)
      if (error instanceof EngineError) throw error
      throw new EngineError('internal', `cannot create network ${network.name}: ${messageOf(error)}`, { cause: error })
    }
    return withoutBridge(network)
  }

  #whole(request: CreateNetwork): CreateNetwork {
    return request.configFrom ? withConfiguration(request, this.#store.named(request.configFrom)) : request
  }

  /** The link that is the network's to make and to remove: its bridge, or a VLAN that is not there yet. */
  #withOwnLink(network: StoredNetwork, others: readonly StoredNetwork[]): StoredNetwork {
    const there = links().map(({ name }) => name)
    if (network.driver === 'bridge') {
      if (there.includes(network.bridge)) throw new EngineError('conflict', `bridge ${network.bridge} already exists`)
      return network
    }
    const { parent } = parentSettings(network)
    const holder = others.find(({ driver, options }) => driver === network.driver && options.parent === parent)
    if (holder !== undefined)
      throw new EngineError('forbidden', `network ${holder.name} is already using parent interface ${parent}`)
    return there.includes(parent) ? network : { ...network, bridge: parent }
  }

  async remove(reference: string): Promise<void> {
    const network = this.#store.find(reference)
    if (isPredefined(network.name))
      throw new EngineError('forbidden', `${network.name} is a pre-defined network and cannot be removed`)
    if (this.#leaving.has(network.id)) throw new EngineError('not-found', `network ${network.name} not found`)
    refuseUsedConfiguration(network, this.#store.networks())
    const busy = this.#store
      .endpoints({ network: network.id })
      .map(
        ({ containerName, endpoint }) =>
          `name:${JSON.stringify(plainName(containerName))} id:"${endpoint.endpointId.slice(0, 12)}"`,
      )
    if (busy.length > 0)
      throw new EngineError(
        'forbidden',
        `error while removing network: network ${network.name} has active endpoints (${busy.join(', ')})`,
      )
    // The kernel first: a crash in between leaves a network without its bridge, which the next start makes again.
    this.#leaving.add(network.id)
    try {
      await this.#driver.deactivate(network)
      this.#store.remove(network.id)
    } finally {
      this.#leaving.delete(network.id)
    }
  }

  endpoints(networkId: string): Endpoint[] {
    return this.#store.endpoints({ network: networkId }).map(({ endpoint }) => endpoint)
  }

  members(networkId: string): { containerId: string; containerName: string; endpoint: Endpoint }[] {
    return this.#store
      .endpoints({ network: networkId })
      .map(({ containerId, containerName, endpoint }) => ({ containerId, containerName, endpoint }))
  }

  endpointsOf(containerId: string): Endpoint[] {
    return this.#store.endpoints({ container: containerId }).map(({ endpoint }) => endpoint)
  }

  async createNamespace(containerId: string, pid?: number): Promise<string> {
    return pid === undefined ? this.#namespaces.create(containerId) : this.#namespaces.adopt(containerId, pid)
  }

  async removeNamespace(containerId: string): Promise<void> {
    this.#namespaces.remove(containerId)
  }

  async attach(request: EndpointRequest): Promise<Endpoint> {
    // An earlier link of the same container may still carry the interface's name.
    await this.#driver.settled(request.containerId)
    const network = this.#store.find(request.networkId)
    if (this.#leaving.has(network.id)) throw new EngineError('not-found', `network ${network.name} not found`)
    if (this.#store.endpoints({ network: network.id, container: request.containerId }).length > 0)
      throw new EngineError(
        'forbidden',
        `endpoint with name ${plainName(request.containerName)} already exists in network ${network.name}`,
      )
    if (network.configOnly === true)
      throw new EngineError('forbidden', `${network.name} is a configuration network: no container can be on it`)
    // Nothing in the kernel, nothing to keep: who is on them, the containers themselves know.
    if (network.driver === 'host' || network.driver === 'null') return plainEndpoint(network, request)
    try {
      const { endpoint } = this.#driver.attach(network, request)
      this.#names.publish(network)
      return endpoint
    } catch (error) {
      await this.#driver.settled(request.containerId)
      if (error instanceof EngineError) throw error
      throw new EngineError('internal', `failed to set up container networking: ${messageOf(error)}`, { cause: error })
    }
  }

  /** With a network, done when the link is gone; without one, the links go in the background or with the namespace. */
  async detach(containerId: string, networkId?: string): Promise<void> {
    const of = networkId === undefined ? {} : { network: networkId }
    const gone = this.#store.endpoints({ container: containerId, ...of })
    // Ports move on to another network of the container only when it keeps one.
    const keeps = networkId !== undefined
    for (const stored of gone) this.#driver.detach(stored, { keeps })
    for (const { endpoint } of gone) this.#names.publish(this.#store.find(endpoint.networkId))
    if (networkId !== undefined) await this.#driver.settled(containerId)
  }

  rename(containerId: string, containerName: string, dnsNames: (endpoint: Endpoint) => string[]): Endpoint[] {
    const renamed = this.#store.transaction(() =>
      this.#store.endpoints({ container: containerId }).map(({ endpoint }) => {
        const after = { ...endpoint, dnsNames: dnsNames(endpoint) }
        this.#store.updateEndpoint(after, containerName)
        return after
      }),
    )
    for (const { networkId } of renamed) this.#names.publish(this.#store.find(networkId))
    return renamed
  }

  files(request: NameFiles): ContainerFiles {
    const hostGateway = this.#store.named('bridge')?.ipam.Config[0]?.Gateway ?? ''
    return nameFiles(request, { host: hostFiles(), hostGateway, namesPath: (id) => this.#names.path(id) })
  }

  obstacles(): string[] {
    return foreignForwardDrops().map(
      (version) =>
        `the policy of iptables' FORWARD chain drops ${version}: containers on bridge networks reach nothing beyond this machine, nor does anything reach them, unless a rule there accepts their bridges`,
    )
  }

  counters(netnsPath: string): InterfaceCounters {
    const found = inNetworkNamespace(netnsPath, links).filter(({ name }) => name !== 'lo')
    return Object.fromEntries(found.map(({ name, counters }) => [name, counters]))
  }

  dial(netnsPath: string, port: number): Promise<Socket> {
    return dial(netnsPath, port)
  }

  async recover(live: ReadonlySet<string>): Promise<string[]> {
    const isDead = ({ containerId }: StoredEndpoint): boolean => !live.has(containerId)
    for (const stored of this.#store.endpoints().filter(isDead)) this.#driver.detach(stored, { keeps: false })
    for (const containerId of this.#namespaces.list()) if (!live.has(containerId)) this.#namespaces.remove(containerId)
    const used = new Set(this.#store.endpoints().map(({ endpoint }) => endpoint.networkId))
    const wanted = this.#store
      .networks()
      .filter(({ id, name, driver }) => driver !== 'host' && driver !== 'null' && (!isPredefined(name) || used.has(id)))
    const problems = await this.#driver.recover(wanted)
    this.#names.recover()
    return problems
  }

  /** Optional, after `recover`: the default bridge and a namespace ahead of time, so that the first container is fast. */
  prepare(): void {
    this.#driver.activate(this.#store.find('bridge'))
    this.#namespaces.prepare()
  }

  /** For a daemon that stops while containers go on: sockets close, links, rules and namespaces stay. */
  async close(): Promise<void> {
    await this.#driver.settled()
    this.#driver[Symbol.dispose]()
    this.#namespaces[Symbol.dispose]()
  }

  /** Everything of this instance in the kernel goes; definitions of networks stay in the database. */
  async destroy(): Promise<void> {
    for (const stored of this.#store.endpoints()) this.#driver.detach(stored, { keeps: false })
    await this.#driver.destroy()
    this.#namespaces.destroy()
    this.#names.destroy()
  }
}

/** From the machine's own identifier, machine-id(5), which nobody outside may learn from it: hashed, as that page asks. */
const siteIdentifier = (instance: string): Buffer =>
  createHash('sha256')
    .update(`drydock ${textOf('/etc/machine-id')?.trim() ?? hostname()} ${instance}`)
    .digest()
    .subarray(0, 5)

function checkedConfiguration(request: CreateNetwork): StoredNetwork {
  checkRequest(request)
  return defineConfiguration(request)
}

const plainName = (containerName: string): string => containerName.replace(/^\//, '')

const withoutBridge = ({ bridge: _, ...network }: StoredNetwork): Network => network

const textOf = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // A machine without the file has nothing to say in it.
    return undefined
  }
}

/** Where systemd-resolved answers on 127.0.0.53, the servers it asks stand in a file of its own; systemd-resolved(8). */
function hostFiles(): HostFiles {
  const resolver = textOf('/etc/resolv.conf') ?? ''
  const { servers } = parseResolvConf(resolver)
  const stub = servers.length === 1 && servers[0] === '127.0.0.53'
  return {
    hosts: textOf('/etc/hosts') ?? '',
    hostname: hostname(),
    resolvConf: (stub ? textOf('/run/systemd/resolve/resolv.conf') : undefined) ?? resolver,
  }
}
