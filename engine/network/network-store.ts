/** The rows of network-schema.ts as values. */
import type { Database, Row } from '../base/database.ts'
import { EngineError } from '../base/errors.ts'
import type { Endpoint, Network } from './network.ts'

export type StoredNetwork = Network & {
  /** The bridge's link name; '' for host and none. */
  bridge: string
}

export type StoredEndpoint = {
  endpoint: Endpoint
  containerId: string
  containerName: string
  netnsPath: string
  /** The host's end of the pair; '' where there is none. */
  link: string
}

const networkOf = (row: Row): StoredNetwork => ({
  ...(JSON.parse(String(row.definition)) as Network),
  bridge: String(row.bridge),
})

const laterFields: Partial<Endpoint> = { dnsNames: [], links: {}, gwPriority: 0, portRequest: {} }

const endpointOf = (row: Row): StoredEndpoint => ({
  // Rows of older engines lack the fields that names came with.
  endpoint: { ...laterFields, ...(JSON.parse(String(row.endpoint)) as Endpoint) },
  containerId: String(row.container),
  containerName: String(row.container_name),
  netnsPath: String(row.namespace),
  link: String(row.link),
})

export class NetworkStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  transaction<T>(work: () => T): T {
    return this.#database.transaction(work)
  }

  networks(): StoredNetwork[] {
    return this.#database.all('SELECT * FROM network ORDER BY rowid').map(networkOf)
  }

  named(name: string): StoredNetwork | undefined {
    const row = this.#database.get('SELECT * FROM network WHERE name = ?', name)
    return row === undefined ? undefined : networkOf(row)
  }

  /** Full id, then name, then the beginning of an id; wire fact 64. */
  find(reference: string): StoredNetwork {
    const exact = this.#database.get('SELECT * FROM network WHERE id = ?', reference)
    if (exact !== undefined) return networkOf(exact)
    const named = this.named(reference)
    if (named !== undefined) return named
    const begun = /^[0-9a-f]+$/.test(reference)
      ? this.#database.all('SELECT * FROM network WHERE id GLOB ?', `${reference}*`)
      : []
    if (begun.length > 1) throw new EngineError('invalid', `network ${reference} is ambiguous`)
    if (begun[0] === undefined) throw new EngineError('not-found', `network ${reference} not found`)
    return networkOf(begun[0])
  }

  add({ bridge, ...network }: StoredNetwork): void {
    this.#database.run(
      'INSERT INTO network (id, name, bridge, definition) VALUES (?, ?, ?, ?)',
      network.id,
      network.name,
      bridge,
      JSON.stringify(network),
    )
  }

  redefine({ bridge: _, ...network }: StoredNetwork): void {
    this.#database.run('UPDATE network SET definition = ? WHERE id = ?', JSON.stringify(network), network.id)
  }

  remove(networkId: string): void {
    this.#database.run('DELETE FROM network WHERE id = ?', networkId)
  }

  /** In the order in which they were connected. */
  endpoints(of: { network?: string; container?: string } = {}): StoredEndpoint[] {
    const { network = null, container = null } = of
    return this.#database
      .all(
        `SELECT * FROM network_endpoint
          WHERE (?1 IS NULL OR network = ?1) AND (?2 IS NULL OR container = ?2) ORDER BY rowid`,
        network,
        container,
      )
      .map(endpointOf)
  }

  addEndpoint({ endpoint, ...stored }: StoredEndpoint): void {
    this.#database.run(
      'INSERT INTO network_endpoint VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      endpoint.endpointId,
      endpoint.networkId,
      stored.containerId,
      stored.containerName,
      stored.netnsPath,
      stored.link,
      endpoint.ipAddress || null,
      endpoint.ipv6Address || null,
      JSON.stringify(endpoint),
    )
  }

  updateEndpoint(endpoint: Endpoint, containerName: string): void {
    this.#database.run(
      'UPDATE network_endpoint SET container_name = ?, endpoint = ? WHERE id = ?',
      containerName,
      JSON.stringify(endpoint),
      endpoint.endpointId,
    )
  }

  removeEndpoint(endpointId: string): void {
    this.#database.run('DELETE FROM network_endpoint WHERE id = ?', endpointId)
  }

  /** The address of each family given out last, in text; '' before the first. */
  lastAddresses(networkId: string): { 4: string; 6: string } {
    const row = this.#database.get('SELECT last_ipv4, last_ipv6 FROM network WHERE id = ?', networkId)
    return { 4: String(row?.last_ipv4 ?? ''), 6: String(row?.last_ipv6 ?? '') }
  }

  noteLastAddress(networkId: string, version: 4 | 6, address: string): void {
    const column = version === 4 ? 'last_ipv4' : 'last_ipv6'
    this.#database.run(`UPDATE network SET ${column} = ? WHERE id = ?`, address, networkId)
  }
}
