/**
 * The engine's one SQLite database (WAL, full sync). Each layer brings the tables it owns as a schema; nobody reads
 * another layer's tables. A statement or a transaction either happened or it did not, also across kill -9.
 */
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite'
import { DiskReserve } from './disk-reserve.ts'
import { EngineError } from './errors.ts'
import { isNoSpace, noSpace } from './no-space.ts'

export type Row = Record<string, SQLOutputValue>

/** A layer's tables: `name` is recorded with the count of migrations applied; migrations are only ever appended. */
export type Schema = { readonly name: string; readonly migrations: readonly string[] }

export class Database implements Disposable {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #reserve: DiskReserve | undefined
  #depth = 0

  /** `:memory:` works for tests. Throws unavailable when the file is of a newer engine. */
  constructor(path: string, schemas: readonly Schema[]) {
    this.#database = new DatabaseSync(path)
    this.#database.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000',
    )
    this.#database.exec(
      'CREATE TABLE IF NOT EXISTS schema_version (name TEXT PRIMARY KEY, applied INTEGER NOT NULL) STRICT',
    )
    for (const schema of schemas) this.#migrate(schema)
    if (path !== ':memory:') this.#reserve = new DiskReserve(`${path}-reserve`)
  }

  #migrate(schema: Schema): void {
    this.transaction(() => {
      const applied = Number(this.get('SELECT applied FROM schema_version WHERE name = ?', schema.name)?.applied ?? 0)
      if (applied > schema.migrations.length)
        throw new EngineError(
          'unavailable',
          `the store's ${schema.name} tables were written by a newer Drydock: update it, or choose another --root`,
        )
      for (const migration of schema.migrations.slice(applied)) this.#database.exec(migration)
      this.run(
        'INSERT INTO schema_version VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET applied = ?2',
        schema.name,
        schema.migrations.length,
      )
    })
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#database.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  get(sql: string, ...values: (string | number | bigint | null | Uint8Array)[]): Row | undefined {
    return this.#prepare(sql).get(...values)
  }

  all(sql: string, ...values: (string | number | bigint | null | Uint8Array)[]): Row[] {
    return this.#prepare(sql).all(...values)
  }

  /** Rows changed. Outside of a transaction it is durable when it returns. */
  run(sql: string, ...values: (string | number | bigint | null | Uint8Array)[]): number {
    return this.#withSpace(() => Number(this.#prepare(sql).run(...values).changes))
  }

  /**
   * On a full disk the work is done again with the reserve's space: records must still be able to go, or nothing could
   * be removed to make space. unavailable when that was not enough.
   */
  #withSpace<T>(work: () => T): T {
    if (this.#depth > 0) return work()
    try {
      return work()
    } catch (error) {
      if (!isNoSpace(error)) throw error
    }
    try {
      this.#reserve?.release()
      this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      return work()
    } catch (error) {
      throw isNoSpace(error) ? noSpace("writing the engine's records", error) : error
    } finally {
      this.#reserve?.restore()
    }
  }

  /** Synchronous work, all or nothing, on a full disk tried a second time; nested calls join the outer one. */
  transaction<T>(work: () => T): T {
    return this.#depth > 0 ? work() : this.#withSpace(() => this.#transact(work))
  }

  #transact<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE')
    this.#depth += 1
    try {
      const result = work()
      this.#database.exec('COMMIT')
      return result
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    } finally {
      this.#depth -= 1
    }
  }

  [Symbol.dispose](): void {
    this.#statements.clear()
    this.#database.close()
  }
}
