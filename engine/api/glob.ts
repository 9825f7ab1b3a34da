/** Go's path.Match: `*` and `?` within a part between slashes, `[a-z]`, `[^a-z]`, and a backslash before what is meant as it is. Pure. */
import { invalid } from './errors.ts'

type Token =
  | { kind: 'any' }
  | { kind: 'star' }
  | { kind: 'letter'; letter: string }
  | { kind: 'class'; negated: boolean; ranges: [from: string, to: string][] }

export class Glob {
  readonly #parts: Token[][]

  /** invalid for a class without an end, or a backslash before nothing. */
  constructor(pattern: string) {
    this.#parts = partsOf([...pattern])
  }

  /** Takes as many steps as pattern and text have letters, multiplied. */
  matches(text: string): boolean {
    const parts = text.split('/')
    return (
      parts.length === this.#parts.length &&
      parts.every((part, index) => fits([...part], this.#parts[index] as Token[]))
    )
  }
}

function partsOf(letters: readonly string[]): Token[][] {
  const parts: Token[][] = [[]]
  for (let at = 0; at < letters.length; ) {
    const letter = letters[at] as string
    const part = parts.at(-1) as Token[]
    if (letter === '/') parts.push([])
    else if (letter === '*') part.push({ kind: 'star' })
    else if (letter === '?') part.push({ kind: 'any' })
    else if (letter === '[') {
      const { token, next } = classAt(letters, at + 1)
      part.push(token)
      at = next
      continue
    } else if (letter === '\\') {
      at += 1
      part.push({ kind: 'letter', letter: letterAt(letters, at) })
    } else part.push({ kind: 'letter', letter })
    at += 1
  }
  return parts
}

function letterAt(letters: readonly string[], at: number): string {
  const letter = letters[at]
  if (letter === undefined) throw invalid('syntax error in pattern')
  return letter
}

function classAt(letters: readonly string[], start: number): { token: Token; next: number } {
  const negated = letters[start] === '^'
  const ranges: [string, string][] = []
  let at = negated ? start + 1 : start
  const take = (): string => {
    if (letters[at] === '\\') at += 1
    const letter = letterAt(letters, at)
    at += 1
    return letter
  }
  while (letterAt(letters, at) !== ']' || ranges.length === 0) {
    const from = take()
    if (letters[at] !== '-') ranges.push([from, from])
    else {
      at += 1
      ranges.push([from, take()])
    }
  }
  return { token: { kind: 'class', negated, ranges }, next: at + 1 }
}

function takes(token: Token, letter: string): boolean {
  if (token.kind === 'letter') return token.letter === letter
  if (token.kind !== 'class') return true
  return token.ranges.some(([from, to]) => letter >= from && letter <= to) !== token.negated
}

/** Only the last star is ever asked to take one more: what an earlier one could take, it can, too. */
function fits(letters: readonly string[], tokens: readonly Token[]): boolean {
  let [at, token, star, from] = [0, 0, -1, 0]
  while (at < letters.length) {
    const wanted = tokens[token]
    if (wanted?.kind === 'star') {
      star = token
      from = at
      token += 1
    } else if (wanted !== undefined && takes(wanted, letters[at] as string)) {
      at += 1
      token += 1
    } else if (star >= 0) {
      from += 1
      at = from
      token = star + 1
    } else return false
  }
  return tokens.slice(token).every(({ kind }) => kind === 'star')
}
