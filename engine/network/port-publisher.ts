/** A container's published ports, on the endpoint that is its way out: bound here, led there by the kernel; wire fact 152. */
import { EngineError, messageOf } from '../base/errors.ts'
import { setHairpin } from './bridge.ts'
import type { PublishedPort } from './firewall.ts'
import { gatewayEndpoints } from './gateway-choice.ts'
import { bridgeSettings } from './network-options.ts'
import type { NetworkStore, StoredEndpoint } from './network-store.ts'
import type { PacketFilter } from './packet-filter.ts'
import { PublishedPorts, portMap, publishedIn, type WantedPort, wantedPorts } from './published-ports.ts'

/** The ports that an endpoint's map says are bound. */
export const publishedOf = ({ endpoint }: StoredEndpoint, store: NetworkStore): PublishedPort[] => {
  const ports = publishedIn(endpoint.ports, endpoint)
  if (ports.length === 0) return ports
  const { gatewayModes } = bridgeSettings(store.find(endpoint.networkId))
  return ports.map((port) =>
    gatewayModes[versionOf(port.hostAddress)] === 'routed' ? { ...port, routed: true } : port,
  )
}

/** What is bound already, as what is wanted: under the same numbers. */
const wantedAgain = (ports: readonly PublishedPort[]): WantedPort[] =>
  ports.map(({ protocol, port, hostAddress, hostPort }) => ({
    key: `${port}/${protocol}`,
    protocol,
    port,
    hostIp: hostAddress,
    hostPort: `${hostPort}`,
  }))

export type PortPlan = { wanted: readonly WantedPort[]; shown: readonly string[] }

const versionOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4)

/** What is left of a port where some IP versions are routed. */
function translatedOnly(want: WantedPort, routed: readonly string[]): WantedPort[] {
  const addresses = want.hostIp === '' ? ['0.0.0.0', '::'] : [want.hostIp]
  return addresses
    .filter((address) => !routed.some((any) => versionOf(any) === versionOf(address)))
    .map((hostIp) => ({ ...want, hostIp }))
}

export class PortPublisher implements Disposable {
  readonly #store: NetworkStore
  readonly #filter: PacketFilter
  readonly #ports = new PublishedPorts()

  constructor(store: NetworkStore, filter: PacketFilter) {
    this.#store = store
    this.#filter = filter
  }

  /**
   * Puts the container's ports where its way out is now. What `undo` defers brings them back to where they were.
   * Precondition: the store has the container's endpoints as they are to be.
   */
  place(containerId: string, undo: DisposableStack): void {
    const rows = this.#store.endpoints({ container: containerId })
    const next = this.#wayOut(rows)
    const holder = rows.find(({ endpoint }) => Object.keys(endpoint.ports).length > 0)
    if (holder !== undefined && holder === next) return
    let plan: PortPlan | undefined
    if (holder !== undefined) {
      const moved = this.withdraw(holder)
      plan = moved
      undo.defer(() => this.#publish(holder, moved))
    }
    if (next === undefined) return
    undo.defer(() => this.withdraw(next))
    this.#publish(next, plan ?? this.#firstPlan(next))
  }

  /** After the endpoint that had these ports is gone: on to the next way out, under the same numbers. */
  inherit(containerId: string, plan: PortPlan): void {
    const next = this.#wayOut(this.#store.endpoints({ container: containerId }))
    if (next !== undefined && Object.keys(next.endpoint.ports).length === 0) this.#publish(next, plan)
  }

  /** The endpoint that leads out, if its driver can publish ports. */
  #wayOut(rows: readonly StoredEndpoint[]): StoredEndpoint | undefined {
    const chosen = gatewayEndpoints(rows.map(({ endpoint }) => endpoint))
    const way = chosen[4] ?? chosen[6]
    return rows.find(({ endpoint, link }) => endpoint === way && link !== '')
  }

  #planOf(row: StoredEndpoint): PortPlan {
    return { wanted: wantedAgain(publishedOf(row, this.#store)), shown: Object.keys(row.endpoint.ports) }
  }

  #firstPlan({ endpoint }: StoredEndpoint): PortPlan {
    return wantedPorts(endpoint.portRequest, bridgeSettings(this.#store.find(endpoint.networkId)).hostBinding)
  }

  #publish(row: StoredEndpoint, { wanted, shown }: PortPlan): void {
    if (shown.length === 0) return
    const { endpoint } = row
    const { gatewayModes } = bridgeSettings(this.#store.find(endpoint.networkId))
    const routed = (['0.0.0.0', '::'] as const).filter((any) => gatewayModes[versionOf(any)] === 'routed')
    const opened = wanted.flatMap((want) =>
      routed
        .filter((any) => want.hostIp === '' || versionOf(want.hostIp) === versionOf(any))
        .map((any) => ({
          ...want,
          hostAddress: any,
          hostPort: 0,
          address: any === '::' ? endpoint.ipv6Address : endpoint.ipAddress,
        })),
    )
    const translated = routed.length === 0 ? wanted : wanted.flatMap((want) => translatedOnly(want, routed))
    const bound = publishing(row, () => this.#ports.hold(endpoint.endpointId, translated, endpoint))
    endpoint.ports = portMap(shown, [...bound, ...opened])
    this.#store.updateEndpoint(endpoint, row.containerName)
    if (bound.length + opened.length === 0) return
    // Where bridged packets go through the IP rules (br_netfilter), a container that asks for its own published port
    // gets the question out of the port that it came in by.
    setHairpin(row.link)
    const published = publishedOf(row, this.#store)
    this.#filter.publish(published)
    this.#filter.forgetConnections(published)
  }

  /** Takes the ports off an endpoint, whose row may be gone; gives back what `inherit` needs. */
  withdraw(row: StoredEndpoint): PortPlan {
    const plan = this.#planOf(row)
    if (plan.shown.length === 0) return plan
    const published = publishedOf(row, this.#store)
    this.#ports.release(row.endpoint.endpointId)
    this.#filter.withdraw(published)
    this.#filter.forgetConnections(published)
    row.endpoint.ports = {}
    this.#store.updateEndpoint(row.endpoint, row.containerName)
    return plan
  }

  /** For a daemon that starts: the sockets of ports that the rules lead already. */
  holdAgain(row: StoredEndpoint): void {
    const { endpoint } = row
    try {
      this.#ports.release(endpoint.endpointId)
      this.#ports.hold(endpoint.endpointId, wantedAgain(publishedOf(row, this.#store)), endpoint)
    } catch (error) {
      // Taken while no daemon held it. The container runs, and the kernel's rules still lead to it.
      if (!(error instanceof EngineError)) throw error
    }
  }

  [Symbol.dispose](): void {
    this.#ports[Symbol.dispose]()
  }
}

/** Wire fact 152's frame around a port that could not be had. */
function publishing<T>({ containerName, endpoint }: StoredEndpoint, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const name = containerName.replace(/^\//, '')
    throw new EngineError(
      'internal',
      `failed to set up container networking: driver failed programming external connectivity on endpoint ${name} (${endpoint.endpointId}): ${messageOf(error)}`,
      { cause: error },
    )
  }
}
