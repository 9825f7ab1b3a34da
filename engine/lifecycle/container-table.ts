/**
 * The containers as rows of the database, with a copy in memory. Every change is durable when the call returns; one
 * call is one transaction, so one fsync(2). Containers handed out are values: a change makes a new one.
 */
import type { Database, Row, Schema } from '../base/database.ts'
import { EngineError } from '../base/errors.ts'
import type { Container, RunState } from './container.ts'

export const containerSchema: Schema = {
  name: 'containers',
  migrations: [
    `CREATE TABLE container (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      definition TEXT NOT NULL,
      state TEXT NOT NULL
    ) STRICT`,
  ],
}

const nameTaken = (name: string, owner: string): EngineError =>
  new EngineError(
    'conflict',
    `Conflict. The container name "/${name}" is already in use by container "${owner}". You have to remove (or rename) that container to be able to reuse that name.`,
  )

export class ContainerTable {
  readonly #database: Database
  readonly #byId = new Map<string, Container>()
  readonly #byName = new Map<string, string>()

  constructor(database: Database) {
    this.#database = database
    for (const row of database.all('SELECT definition, state FROM container')) this.#remember(read(row))
  }

  #remember(container: Container): void {
    this.#byId.set(container.id, container)
    this.#byName.set(container.name, container.id)
  }

  /**
   * Keeps a name from others until the returned handle is disposed of or a container has it: creating one takes a while,
   * and its row is written last. conflict when it is taken.
   */
  reserve(name: string, id: string): Disposable {
    const owner = this.#byName.get(name)
    if (owner !== undefined) throw nameTaken(name, owner)
    this.#byName.set(name, id)
    return {
      [Symbol.dispose]: () => {
        if (this.#byName.get(name) === id && this.#byId.get(id)?.name !== name) this.#byName.delete(name)
      },
    }
  }

  nameTaken(name: string): boolean {
    return this.#byName.has(name)
  }

  insert(container: Container): void {
    this.#database.run(
      'INSERT INTO container (id, name, definition, state) VALUES (?, ?, ?, ?)',
      container.id,
      container.name,
      definitionOf(container),
      stateOf(container),
    )
    this.#remember(container)
  }

  /** By full id only. */
  find(id: string): Container | undefined {
    return this.#byId.get(id)
  }

  /** By full id only, for code that knows it exists. */
  byId(id: string): Container {
    const container = this.#byId.get(id)
    if (container === undefined) throw new EngineError('not-found', `No such container: ${id}`)
    return container
  }

  /** Full id, exact name with or without slash, unique id prefix; wire fact 63. */
  get(reference: string): Container {
    if (reference === '') throw new EngineError('invalid', 'No container name or ID supplied')
    const exact = this.#byId.get(reference) ?? this.#byId.get(this.#byName.get(reference.replace(/^\//, '')) ?? '')
    if (exact !== undefined) return exact
    let found: Container | undefined
    for (const container of this.#byId.values()) {
      if (!container.id.startsWith(reference)) continue
      if (found !== undefined) throw new EngineError('invalid', `multiple IDs found with provided prefix: ${reference}`)
      found = container
    }
    if (found === undefined) throw new EngineError('not-found', `No such container: ${reference}`)
    return found
  }

  /** Newest first. */
  list(): Container[] {
    return [...this.#byId.values()].sort((a, b) => (a.created < b.created ? 1 : a.created > b.created ? -1 : 0))
  }

  update(id: string, change: Partial<Omit<Container, 'id' | 'run'>> & { run?: Partial<RunState> }): Container {
    const before = this.byId(id)
    const after: Container = { ...before, ...change, run: { ...before.run, ...change.run } }
    if (after.name !== before.name) {
      const owner = this.#byName.get(after.name)
      if (owner !== undefined && owner !== id) throw nameTaken(after.name, owner)
    }
    const definition = definitionOf(after)
    if (definition === definitionOf(before))
      this.#database.run('UPDATE container SET state = ?2 WHERE id = ?1', id, stateOf(after))
    else
      this.#database.run(
        'UPDATE container SET name = ?2, definition = ?3, state = ?4 WHERE id = ?1',
        id,
        after.name,
        definition,
        stateOf(after),
      )
    if (after.name !== before.name) this.#byName.delete(before.name)
    this.#remember(after)
    return after
  }

  /** For what need not outlive the daemon: in memory at once, on disk with the next `update`. */
  note(id: string, run: Partial<RunState>): void {
    const before = this.byId(id)
    this.#byId.set(id, { ...before, run: { ...before.run, ...run } })
  }

  delete(id: string): void {
    const container = this.byId(id)
    this.#database.run('DELETE FROM container WHERE id = ?', id)
    this.#byId.delete(id)
    this.#byName.delete(container.name)
  }
}

const definitionOf = ({ run: _run, endpoints: _endpoints, ...definition }: Container): string =>
  JSON.stringify(definition)

const stateOf = ({ run, endpoints }: Container): string => JSON.stringify({ run, endpoints })

const read = (row: Row): Container =>
  ({ ...JSON.parse(String(row.definition)), ...JSON.parse(String(row.state)) }) as Container
