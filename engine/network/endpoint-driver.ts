/** Endpoints on networks with links: the store's rows and the kernel's links, rules and ports, kept in step. */

import { formatAddress, formatSubnet, type IpAddress, overlaps, parseAddress } from '../base/address.ts'
import { messageOf } from '../base/errors.ts'
import { chooseSubnet } from './address-pools.ts'
import { connectNamespace, ensureBridge, links, routedSubnets } from './bridge.ts'
import { interfaceSettings, linkLocalAddresses } from './endpoint-options.ts'
import type { FirewallState } from './firewall.ts'
import { Forwarding } from './forwarding.ts'
import { gatewayEndpoints } from './gateway-choice.ts'
import { type InstanceNames, linkName } from './instance-names.ts'
import { removeLink, setDefaultRoutes } from './interior.ts'
import { leaseEndpoint } from './lease.ts'
import type { Endpoint, EndpointRequest } from './network.ts'
import { bridgeSettings, mtuOf } from './network-options.ts'
import { firewallNetwork, gatewayAddresses, spaceOf, spacesOf } from './network-plan.ts'
import type { NetworkStore, StoredEndpoint, StoredNetwork } from './network-store.ts'
import { PacketFilter } from './packet-filter.ts'
import { connectStacked, ensureParent } from './parent-links.ts'
import { leadsByDevice, parentSettings } from './parent-settings.ts'
import { PortPublisher, publishedOf } from './port-publisher.ts'
import { wantedPorts } from './published-ports.ts'

export class EndpointDriver implements Disposable {
  readonly #store: NetworkStore
  readonly #names: InstanceNames
  readonly #forwarding: Forwarding
  readonly #filter: PacketFilter
  readonly #publisher: PortPublisher
  /** Networks whose bridge and rules stand, by id. */
  readonly #active = new Map<string, StoredNetwork>()
  /** Links on their way out, and whose they were. */
  readonly #removals = new Map<Promise<void>, string>()

  constructor(store: NetworkStore, names: InstanceNames, execRoot: string) {
    this.#store = store
    this.#names = names
    this.#forwarding = new Forwarding(execRoot)
    this.#filter = new PacketFilter(names.table, () => this.#filterState())
    this.#publisher = new PortPublisher(store, this.#filter)
  }

  /** Makes the network's bridge and rules, once. Gives the network back as it is now: its subnet may have had to move. */
  activate(network: StoredNetwork): StoredNetwork {
    const known = this.#active.get(network.id)
    if (known !== undefined) return known
    if (network.driver !== 'bridge') {
      ensureParent(parentSettings(network).parent)
      return network
    }
    const settled = this.#settleSubnet(network)
    ensureBridge({
      name: settled.bridge,
      addresses: gatewayAddresses(settled),
      ipv6: spaceOf(settled, 6) !== undefined,
      ...mtuOf(settled),
    })
    this.#forwarding.switchOn(4)
    if (spaceOf(settled, 6) !== undefined) this.#forwarding.switchOn(6)
    this.#active.set(settled.id, settled)
    using unfinished = new DisposableStack()
    // Without its rules a network keeps nobody apart: the next container must not find it ready.
    unfinished.defer(() => this.#active.delete(settled.id))
    this.#filter.rebuild()
    unfinished.move()
    return settled
  }

  /**
   * The default network's subnet was chosen once; when nobody uses it and the machine has meanwhile learned a route
   * that overlaps (a VPN, another engine), it moves.
   */
  #settleSubnet(network: StoredNetwork): StoredNetwork {
    if (network.bridge !== this.#names.defaultBridge) return network
    if (this.#store.endpoints({ network: network.id }).length > 0) return network
    if (links().some(({ name }) => name === network.bridge)) return network
    const taken = this.takenSubnets(network.id)
    const spaces = spacesOf(network)
    if (!spaces.some(({ subnet }) => taken.some((other) => overlaps(subnet, other)))) return network
    const subnet = chooseSubnet(taken)
    const gateway = formatAddress({ version: subnet.version, value: subnet.network + 1n })
    const moved = {
      ...network,
      ipam: { ...network.ipam, Config: [{ Subnet: formatSubnet(subnet), Gateway: gateway }] },
    }
    this.#store.redefine(moved)
    return moved
  }

  /** The subnets of all networks but one, and of the machine's routes. */
  takenSubnets(exceptNetwork = '') {
    const networks = this.#store.networks()
    const own = networks.find(({ id }) => id === exceptNetwork)?.bridge ?? ''
    return [
      ...networks.filter(({ id }) => id !== exceptNetwork).flatMap((network) => spacesOf(network).map((s) => s.subnet)),
      ...routedSubnets(own),
    ]
  }

  async deactivate(network: StoredNetwork): Promise<void> {
    if (this.#active.delete(network.id)) this.#filter.rebuild()
    if (network.bridge !== '') await removeLink(network.bridge)
  }

  /**
   * All or nothing; see Networks.attach. On a full disk the records are written a second time: what the kernel has of the
   * endpoint stays then, its ports are published anew.
   */
  attach(network: StoredNetwork, request: EndpointRequest): StoredEndpoint {
    wantedPorts(request)
    const { containerId } = request
    using cleanup = new DisposableStack()
    let link: StoredEndpoint | undefined
    let ports: DisposableStack | undefined
    cleanup.defer(() => ports?.dispose())
    const stored = this.#store.transaction(() => {
      ports?.dispose()
      link ??= this.#makeLink(network, request, cleanup)
      using published = new DisposableStack()
      this.#store.addEndpoint(link)
      this.#publisher.place(containerId, published)
      ports = published.move()
      return this.#store.endpoints({ container: containerId, network: network.id })[0]!
    })
    cleanup.move()
    return stored
  }

  #makeLink(network: StoredNetwork, request: EndpointRequest, cleanup: DisposableStack): StoredEndpoint {
    const settled = this.activate(network)
    const endpoint = leaseEndpoint(this.#store, settled, request)
    const link = settled.driver === 'bridge' ? linkName() : ''
    const { containerId, containerName, netnsPath } = request
    this.#connect(settled, endpoint, { link, ...request })
    const made = { endpoint, containerId, containerName, netnsPath, link }
    cleanup.defer(() => this.#removeLater(made))
    return made
  }

  #connect(network: StoredNetwork, endpoint: Endpoint, at: EndpointRequest & { link: string }): void {
    const addresses = [
      { text: endpoint.ipAddress, prefixLength: endpoint.prefixLength },
      { text: endpoint.ipv6Address, prefixLength: endpoint.ipv6PrefixLength },
    ]
      .filter(({ text }) => text !== '')
      .map(({ text, prefixLength }) => ({ ...parseAddress(text)!, prefixLength }))
    const { interfaceName } = endpoint
    const interior = {
      netnsPath: at.netnsPath,
      interfaceName,
      mac: endpoint.macAddress,
      addresses: [...addresses, ...linkLocalAddresses(at)],
      gateways: this.#gatewaysFor(endpoint, at.containerId),
      settings: interfaceSettings(at, interfaceName),
      ...mtuOf(network),
    }
    if (network.driver === 'bridge')
      connectNamespace({ ...interior, link: at.link, bridge: network.bridge, isolated: !bridgeSettings(network).icc })
    else {
      // One of each version, however many subnets there are.
      const versions = new Set(addresses.map(({ version }) => version))
      const throughDevice = leadsByDevice(network) && !network.internal ? [...versions] : []
      connectStacked({ ...interior, ...parentSettings(network), throughDevice })
    }
  }

  /**
   * Takes the endpoint out of the store and the kernel. The link goes in the background: see `settled`.
   *
   * @param keeps the container lives on with other networks, which its ports move to
   */
  detach(stored: StoredEndpoint, { keeps }: { keeps: boolean }): void {
    this.#store.removeEndpoint(stored.endpoint.endpointId)
    const plan = this.#publisher.withdraw(stored)
    if (stored.endpoint.interfaceName !== '') this.#removeLater(stored)
    if (keeps) this.#publisher.inherit(stored.containerId, plan)
  }

  /** Of a new endpoint: the default routes that are its from now on. */
  #gatewaysFor(endpoint: Endpoint, containerId: string): IpAddress[] {
    const others = this.#store.endpoints({ container: containerId }).map((stored) => stored.endpoint)
    return gatewaysOf(endpoint, gatewayEndpoints([...others, endpoint]))
  }

  /** The endpoint whose link is gone now may have had the container's default routes; others take them over. */
  #restoreRoutes(containerId: string): void {
    const stored = this.#store
      .endpoints({ container: containerId })
      .filter(({ endpoint }) => endpoint.interfaceName !== '')
    const chosen = gatewayEndpoints(stored.map(({ endpoint }) => endpoint))
    for (const { endpoint, netnsPath } of stored) {
      const gateways = gatewaysOf(endpoint, chosen)
      if (gateways.length > 0) setDefaultRoutes(netnsPath, endpoint.interfaceName, gateways)
    }
  }

  #removeLater({ link, containerId, netnsPath, endpoint }: Omit<StoredEndpoint, 'containerName'>): void {
    const gone = link === '' ? removeLink(endpoint.interfaceName, netnsPath) : removeLink(link)
    this.#remember(
      gone.then(() => this.#restoreRoutes(containerId)),
      containerId,
    )
  }

  #remember(work: Promise<void>, containerId: string): void {
    // A link that the kernel keeps is a leftover for the next `recover`.
    const removal = work.catch(() => undefined)
    this.#removals.set(removal, containerId)
    void removal.then(() => this.#removals.delete(removal))
  }

  /** When every link that was detached, or every one of a container, is gone. */
  async settled(containerId?: string): Promise<void> {
    const awaited = [...this.#removals].filter(([, owner]) => containerId === undefined || owner === containerId)
    await Promise.all(awaited.map(([removal]) => removal))
  }

  /**
   * After a restart: bridges and rules of the stored networks, ports of the stored endpoints, nothing else. Answers a
   * sentence for each network that cannot be made now (its parent may be gone): whoever attaches to it tries again.
   */
  async recover(networks: readonly StoredNetwork[]): Promise<string[]> {
    const problems = networks.flatMap((network) => {
      try {
        this.activate(network)
        return []
      } catch (error) {
        return [`network ${network.name} is not ready: ${messageOf(error)}`]
      }
    })
    for (const stored of this.#store.endpoints()) this.#publisher.holdAgain(stored)
    this.#filter.rebuild()
    const bridges = new Set(this.#store.networks().map(({ bridge }) => bridge))
    const kept = new Set(this.#store.endpoints().map(({ link }) => link))
    const all = links()
    const own = new Set(all.filter(({ name }) => bridges.has(name)).map(({ index }) => index))
    for (const { name, master } of all) if (own.has(master) && !kept.has(name)) this.#remember(removeLink(name), '')
    await this.settled()
    return problems
  }

  /** Everything of ours in the kernel, for a machine that is to be as it was. */
  async destroy(): Promise<void> {
    this.#publisher[Symbol.dispose]()
    const bridges = new Set(this.#store.networks().map(({ bridge }) => bridge))
    const all = links()
    const own = all.filter(({ name }) => bridges.has(name))
    const ports = all.filter(({ master }) => own.some(({ index }) => index === master))
    for (const { name } of [...ports, ...own]) await removeLink(name)
    await this.settled()
    this.#active.clear()
    this.#filter.rebuild()
    // Hardware has no kind: whatever else is there may be forwarded for somebody.
    this.#forwarding.restore(links().some(({ kind }) => kind !== ''))
    this[Symbol.dispose]()
  }

  /** What the packet filter's table is to hold. */
  #filterState(): FirewallState {
    const networks = [...this.#active.values()]
    return {
      networks: networks.map(firewallNetwork),
      ports: this.#store.endpoints().flatMap((row) => publishedOf(row, this.#store)),
      guardsRouting: this.#forwarding.switchedOnHere,
    }
  }

  /** Lets go of sockets; links and rules stay for the containers that go on. */
  [Symbol.dispose](): void {
    this.#publisher[Symbol.dispose]()
    this.#filter[Symbol.dispose]()
  }
}

/** The gateways of those IP versions for which the container's way out is this endpoint. */
const gatewaysOf = (endpoint: Endpoint, chosen: ReturnType<typeof gatewayEndpoints>): IpAddress[] =>
  [
    chosen[4]?.endpointId === endpoint.endpointId ? endpoint.gateway : '',
    chosen[6]?.endpointId === endpoint.endpointId ? endpoint.ipv6Gateway : '',
  ]
    .map(parseAddress)
    .filter((address) => address !== undefined)
