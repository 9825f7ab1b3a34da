/**
 * Regular expressions that clients send. Some take longer than the universe has, on a text of forty letters: they are matched
 * under a watch, and what takes too long is refused.
 */
import { type Context, createContext, Script } from 'node:vm'
import { EngineError } from './errors.ts'

/** Milliseconds for one expression, over all texts. */
const budget = 200

/** Without any of these a pattern is a text, and what matches contains it. */
const special = /[\\^$.*+?()[\]{}|]/

let watched: { script: Script; context: Context } | undefined

/** V8 looks for the end of its time also amid an expression. */
function testWatched(expression: RegExp, text: string, timeout: number): boolean {
  watched ??= { script: new Script('expression.test(text)'), context: createContext(Object.create(null)) }
  Object.assign(watched.context, { expression, text })
  return watched.script.runInContext(watched.context, { timeout }) === true
}

export class Pattern {
  readonly #source: string
  readonly #expression: RegExp | undefined
  #spent = 0

  /** Throws SyntaxError. */
  constructor(source: string) {
    this.#source = source
    this.#expression = special.test(source) ? new RegExp(source) : undefined
  }

  /** Whether the expression is found anywhere in the text. invalid where that takes too long to say. */
  test(text: string): boolean {
    if (this.#expression === undefined) return text.includes(this.#source)
    const start = performance.now()
    try {
      return testWatched(this.#expression, text, Math.max(1, Math.ceil(budget - this.#spent)))
    } catch (error) {
      throw new EngineError('invalid', `the expression ${JSON.stringify(this.#source)} takes too long to match`, {
        cause: error,
      })
    } finally {
      this.#spent += performance.now() - start
    }
  }
}
