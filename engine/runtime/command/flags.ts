/**
 * The command line's grammar, which is that of Go's flag package as runc uses it: one or two dashes, `--name value` or
 * `--name=value`, a boolean with or without `=true`, options before or (for most verbs) after the arguments. Pure.
 */
import { EngineError } from '../../base/errors.ts'

export type Flag = {
  /** The long name, and the short one where there is one. */
  names: readonly [string, string?]
  kind: 'boolean' | 'string' | 'list' | 'number'
  usage: string
  /** What help shows as the default; the reader of the value applies it. */
  default?: string
  /** Understood, not shown: what older callers still send. */
  hidden?: boolean
}

export class ParsedFlags {
  readonly args: readonly string[]
  readonly #values: ReadonlyMap<string, readonly string[]>

  constructor(values: ReadonlyMap<string, readonly string[]>, args: readonly string[]) {
    this.#values = values
    this.args = args
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** The last one given; undefined where none is, and for an empty one. */
  text(name: string): string | undefined {
    const value = this.#values.get(name)?.at(-1)
    return value === '' ? undefined : value
  }

  is(name: string): boolean {
    return this.#values.get(name)?.at(-1) === 'true'
  }

  list(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }

  /** A whole number, checked when it was parsed. */
  number(name: string): number | undefined {
    const value = this.#values.get(name)?.at(-1)
    return value === undefined ? undefined : Number(value)
  }
}

const truths: Readonly<Record<string, string>> = Object.fromEntries([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((text) => [text, 'true']),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((text) => [text, 'false']),
])

/** Go's strconv.ParseBool; undefined for anything else. */
export const parseTruth = (text: string): boolean | undefined =>
  truths[text] === undefined ? undefined : truths[text] === 'true'

function checked(flag: Flag, shown: string, value: string): string {
  const refuse = (): never => {
    throw new EngineError('invalid', `invalid value ${JSON.stringify(value)} for flag ${shown}: parse error`)
  }
  if (flag.kind === 'boolean') return truths[value] ?? refuse()
  if (flag.kind === 'number' && !/^-?\d+$/.test(value)) return refuse()
  return value
}

/**
 * @param options.ordered everything from the first argument on belongs to the arguments (`exec ID ls -l`)
 */
export function parseFlags(
  words: readonly string[],
  flags: readonly Flag[],
  options: { ordered: boolean },
): ParsedFlags {
  const byName = new Map(flags.flatMap((flag) => flag.names.map((name) => [name!, flag] as const)))
  const values = new Map<string, string[]>()
  const args: string[] = []
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at]!
    if (word === '--') {
      args.push(...words.slice(at + 1))
      break
    }
    const [, name, , given] = /^--?([^-=][^=]*)(=([\s\S]*))?$/.exec(word) ?? []
    if (name === undefined) {
      if (options.ordered) {
        args.push(...words.slice(at))
        break
      }
      args.push(word)
      continue
    }
    const flag = byName.get(name)
    if (flag === undefined) throw new EngineError('invalid', `flag provided but not defined: -${name}`)
    let value = given
    if (value === undefined && flag.kind === 'boolean') value = 'true'
    if (value === undefined) {
      at += 1
      value = words[at]
      if (value === undefined) throw new EngineError('invalid', `flag needs an argument: -${name}`)
    }
    const list = values.get(flag.names[0]) ?? []
    list.push(checked(flag, `-${name}`, value))
    values.set(flag.names[0], list)
  }
  return new ParsedFlags(values, args)
}
