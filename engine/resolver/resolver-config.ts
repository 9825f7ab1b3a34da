/**
 * What a container's resolver works by, as files that the daemon writes and the container's shim reads: whoever changes
 * them replaces the file by a rename, and the next question is answered by it. So the daemon may be gone.
 */
import { readFileSync, statSync } from 'node:fs'
import type { NetworkNames, VisibleNetwork } from './names.ts'
import { parseResolvConf } from './resolv-conf.ts'

/** `resolver.json` in the container's bundle. */
export type ResolverConfig = {
  /** Asked in this order. `names` is the path of a file of NetworkNames. */
  networks: { names: string; links: Record<string, string> }[]
  /** Who is asked about everything else; absent: nobody, as on internal networks alone. */
  upstream?: {
    /** In text. Absent: those of the machine's own file, read again whenever it changes. */
    servers?: string[]
    machineFile: string
    /** IP versions that lead out of the container; a server of another one is asked from the machine's own network. */
    versions: (4 | 6)[]
  }
  /** Milliseconds that a server has for its answer. */
  patience: number
  /** The user set ndots: names without a dot are the networks' own, and the client adds its search domains itself. */
  keepSingleLabels: boolean
}

export const resolverConfigName = 'resolver.json'

/** A file's text, read when it is another one than before; '' when there is none. */
class WatchedFile {
  readonly #path: string
  #seen = ''
  #text = ''

  constructor(path: string) {
    this.#path = path
  }

  /** True in `changed` at the first call. */
  read(): { text: string; changed: boolean } {
    const seen = identityOf(this.#path)
    if (seen === this.#seen) return { text: this.#text, changed: false }
    this.#seen = seen
    try {
      this.#text = readFileSync(this.#path, 'utf8')
    } catch {
      // Between looking and reading it went: as if it had not been there, until the next question.
      this.#seen = ''
      this.#text = ''
    }
    return { text: this.#text, changed: true }
  }
}

function identityOf(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? 'none' : `${found.ino} ${found.mtimeNs} ${found.size}`
}

/** A watched file's document; `absent` where there is none. The daemon wrote it, so that it is not doubted. */
class WatchedDocument<T> {
  readonly #file: WatchedFile
  readonly #absent: T
  #value: T

  constructor(path: string, absent: T) {
    this.#file = new WatchedFile(path)
    this.#absent = absent
    this.#value = absent
  }

  get value(): T {
    const { text, changed } = this.#file.read()
    if (changed) this.#value = text === '' ? this.#absent : (JSON.parse(text) as T)
    return this.#value
  }
}

const nothing: ResolverConfig = { networks: [], patience: 1000, keepSingleLabels: false }

/** The files behind one container's resolver, always as they are now. */
export class ResolverFiles {
  readonly #config: WatchedDocument<ResolverConfig>
  readonly #networks = new Map<string, WatchedDocument<NetworkNames>>()
  #machineFile: { path: string; file: WatchedFile; servers: string[] } | undefined

  /** @param path of resolver.json */
  constructor(path: string) {
    this.#config = new WatchedDocument(path, nothing)
  }

  get config(): ResolverConfig {
    return this.#config.value
  }

  networks(): VisibleNetwork[] {
    const { networks } = this.config
    const wanted = new Set(networks.map(({ names }) => names))
    for (const path of this.#networks.keys()) if (!wanted.has(path)) this.#networks.delete(path)
    return networks.map(({ names, links }) => {
      const known = this.#networks.get(names) ?? new WatchedDocument<NetworkNames>(names, { network: '', entries: [] })
      this.#networks.set(names, known)
      return { ...known.value, links }
    })
  }

  /** Whom to ask, in order. */
  servers(): string[] {
    const { upstream } = this.config
    if (upstream === undefined) return []
    if (upstream.servers !== undefined) return upstream.servers
    if (this.#machineFile?.path !== upstream.machineFile)
      this.#machineFile = { path: upstream.machineFile, file: new WatchedFile(upstream.machineFile), servers: [] }
    const machine = this.#machineFile
    const { text, changed } = machine.file.read()
    if (changed) machine.servers = parseResolvConf(text).servers
    return machine.servers
  }
}
