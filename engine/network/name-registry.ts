/** Who is on a network under which names, in a file that the resolvers of its containers read: <execRoot>/names/<network id>. */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NetworkNames } from '../resolver/names.ts'
import { isPredefined } from './define-network.ts'
import type { NetworkStore, StoredNetwork } from './network-store.ts'

export class NameRegistry {
  readonly #store: NetworkStore
  readonly #directory: string

  constructor(store: NetworkStore, execRoot: string) {
    this.#store = store
    this.#directory = join(execRoot, 'names')
  }

  path(networkId: string): string {
    return join(this.#directory, networkId)
  }

  /** Replaces the file by one of what the store has now; the predefined networks have no names. */
  publish(network: StoredNetwork): void {
    if (isPredefined(network.name)) return
    const names: NetworkNames = {
      network: network.name,
      entries: this.#store.endpoints({ network: network.id }).map(({ endpoint }) => ({
        names: endpoint.dnsNames,
        ipv4: endpoint.ipAddress,
        ipv6: endpoint.ipv6Address,
      })),
    }
    const path = this.path(network.id)
    if (names.entries.length === 0) {
      rmSync(path, { force: true })
      return
    }
    mkdirSync(this.#directory, { recursive: true, mode: 0o755 })
    // A question in the middle of this is answered by the old file or the new one.
    writeFileSync(`${path}.new`, JSON.stringify(names), { mode: 0o644 })
    renameSync(`${path}.new`, path)
  }

  /** As the store has it; files of networks that are gone go. */
  recover(): void {
    const networks = this.#store.networks()
    for (const network of networks) this.publish(network)
    for (const name of this.#list())
      if (!networks.some(({ id }) => id === name)) rmSync(this.path(name), { force: true })
  }

  destroy(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #list(): string[] {
    try {
      return readdirSync(this.#directory)
    } catch {
      return []
    }
  }
}
