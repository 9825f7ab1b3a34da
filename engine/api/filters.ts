/** The `filters` parameter: which objects of a list are meant. Both wire forms, `{"k":{"v":true}}` and `{"k":["v"]}`. */
import { Pattern } from '../base/pattern.ts'
import { invalid } from './errors.ts'

export class Filters {
  readonly #values: ReadonlyMap<string, readonly string[]>

  readonly #patterns = new Map<string, Pattern | undefined>()

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values
  }

  static parse(text: string): Filters {
    if (text === '') return new Filters(new Map())
    let raw: unknown
    try {
      raw = JSON.parse(text)
    } catch (error) {
      throw invalid('invalid filter', error)
    }
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw invalid('invalid filter')
    return new Filters(new Map(Object.entries(raw).map(([key, value]) => [key, valuesOf(value)])))
  }

  /** invalid when a key is none of the given ones. */
  only(...known: readonly string[]): this {
    for (const key of this.#values.keys()) if (!known.includes(key)) throw invalid(`invalid filter '${key}'`)
    return this
  }

  has(key: string): boolean {
    return (this.#values.get(key)?.length ?? 0) > 0
  }

  get(key: string): readonly string[] {
    return this.#values.get(key) ?? []
  }

  /** True when the key is absent, or one of its values passes. */
  any(key: string, passes: (value: string) => boolean): boolean {
    return !this.has(key) || this.get(key).some(passes)
  }

  /** A key with a boolean value; undefined when absent. invalid for other words. */
  boolean(key: string): boolean | undefined {
    const value = this.get(key)[0]
    if (value === undefined) return undefined
    if (/^(1|t|true)$/i.test(value)) return true
    if (/^(0|f|false)$/i.test(value)) return false
    throw invalid(`invalid filter '${key}=[${value}]'`)
  }

  /** Every `label` must match and no `label!` may. `key` or `key=value`. */
  labels(labels: Readonly<Record<string, string>>): boolean {
    const carries = (wanted: string): boolean => {
      const at = wanted.indexOf('=')
      return at < 0 ? Object.hasOwn(labels, wanted) : labels[wanted.slice(0, at)] === wanted.slice(at + 1)
    }
    return this.get('label').every(carries) && !this.get('label!').some(carries)
  }

  /** Names and ids: an unanchored regular expression; one that is broken is compared literally. */
  pattern(key: string, candidates: readonly string[]): boolean {
    return this.any(key, (value) => {
      const pattern = this.#patternOf(value)
      return candidates.some((candidate) => candidate === value || (pattern?.test(candidate) ?? false))
    })
  }

  /** Undefined for one that is broken. */
  #patternOf(value: string): Pattern | undefined {
    if (!this.#patterns.has(value)) this.#patterns.set(value, parsedPattern(value))
    return this.#patterns.get(value)
  }

  /** `until`: a time; true for what is older. Unix seconds, RFC 3339 or a duration such as `24h`. */
  olderThanUntil(created: string): boolean {
    const until = this.get('until')
    if (until.length === 0) return true
    if (until.length > 1) throw invalid('more than one until filter specified')
    return Date.parse(created) < untilTime(until[0]!)
  }
}

function valuesOf(value: unknown): string[] {
  if (Array.isArray(value) && value.every((entry) => typeof entry === 'string')) return value
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return Object.keys(value)
  throw invalid('invalid filter')
}

function parsedPattern(value: string): Pattern | undefined {
  try {
    return new Pattern(value)
  } catch {
    return undefined
  }
}

const unitMilliseconds: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds since the epoch. */
function untilTime(value: string): number {
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value) * 1000
  if (/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(value)) {
    const parts = value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)
    return Date.now() - [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * unitMilliseconds[unit!]!, 0)
  }
  const parsed = Date.parse(value)
  if (Number.isNaN(parsed)) throw invalid(`invalid filter 'until=[${value}]'`)
  return parsed
}
