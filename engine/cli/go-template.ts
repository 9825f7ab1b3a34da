/**
 * Go's text/template as far as `--format` is used: fields, pipelines, functions, if/else, range, with, variables. Pure.
 * The language: pkg.go.dev/text/template.
 */
import { type Expression, type Node, type Operand, parseTemplate } from './go-template-parse.ts'

type Scope = { dot: unknown; variables: Map<string, unknown> }
type Call = (...values: unknown[]) => unknown

const truthy = (value: unknown): boolean => {
  if (value === null || value === undefined || value === false || value === 0 || value === '') return false
  if (Array.isArray(value)) return value.length > 0
  return typeof value !== 'object' || Object.keys(value).length > 0
}

/** As Go prints a value with %v. */
function print(value: unknown): string {
  if (value === undefined || value === null) return '<no value>'
  if (Array.isArray(value)) return `[${value.map(print).join(' ')}]`
  if (typeof value !== 'object') return String(value)
  const entries = Object.entries(value as object).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `map[${entries.map(([key, item]) => `${key}:${print(item)}`).join(' ')}]`
}

function index(container: unknown, ...keys: unknown[]): unknown {
  let value = container
  for (const key of keys) {
    if (value === null || value === undefined) return undefined
    value = (value as Record<string, unknown>)[String(key)]
  }
  return value
}

const compare =
  (test: (order: number) => boolean): Call =>
  (a, b) =>
    test((a as number) < (b as number) ? -1 : a === b ? 0 : 1)

const functions: Readonly<Record<string, Call>> = {
  json: (value) => JSON.stringify(value ?? null),
  len: (value) =>
    typeof value === 'string' || Array.isArray(value) ? value.length : Object.keys((value as object) ?? {}).length,
  index,
  upper: (value) => print(value).toUpperCase(),
  lower: (value) => print(value).toLowerCase(),
  title: (value) => print(value).replace(/\b\w/g, (letter) => letter.toUpperCase()),
  join: (list, separator) => ((list as unknown[]) ?? []).map(print).join(String(separator)),
  split: (text, separator) => String(text).split(String(separator)),
  pad: (text, before, after) => `${' '.repeat(Number(before))}${text}${' '.repeat(Number(after))}`,
  truncate: (text, length) => String(text).slice(0, Number(length)),
  print: (...values) => values.map(print).join(''),
  println: (...values) => `${values.map(print).join(' ')}\n`,
  printf: (format, ...values) => {
    let at = 0
    return String(format).replaceAll(/%(%|[-+# 0]*\d*(?:\.\d+)?[a-z])/g, (_all, verb: string) =>
      verb === '%' ? '%' : formatOne(verb, values[at++]),
    )
  },
  not: (value) => !truthy(value),
  and: (...values) => values.find((value) => !truthy(value)) ?? values.at(-1),
  or: (...values) => values.find(truthy) ?? values.at(-1),
  eq: (first, ...others) => others.some((other) => other === first),
  ne: (a, b) => a !== b,
  lt: compare((order) => order < 0),
  le: compare((order) => order <= 0),
  gt: compare((order) => order > 0),
  ge: compare((order) => order >= 0),
}

function formatOne(verb: string, value: unknown): string {
  if (verb.endsWith('q')) return JSON.stringify(print(value))
  const digits = /\.(\d+)f$/.exec(verb)
  const text = digits === null ? print(value) : Number(value).toFixed(Number(digits[1]))
  const width = /^(-?)0?(\d+)/.exec(verb)
  if (width === null) return text
  return width[1] === '-' ? text.padEnd(Number(width[2])) : text.padStart(Number(width[2]))
}

function field(value: unknown, names: readonly string[]): unknown {
  let current = value
  for (const name of names) {
    if (current === null || current === undefined) return undefined
    const found = (current as Record<string, unknown>)[name]
    current = typeof found === 'function' ? (found as () => unknown).call(current) : found
  }
  return current
}

function operand(part: Operand, scope: Scope): unknown {
  switch (part.kind) {
    case 'literal':
      return part.value
    case 'field':
      return field(scope.dot, part.names)
    case 'variable':
      return field(scope.variables.get(part.name), part.names)
    case 'group':
      return field(evaluate(part.expression, scope), part.names)
  }
}

function evaluate(expression: Expression, scope: Scope): unknown {
  let result: unknown
  let piped = false
  for (const { name, operands } of expression.commands) {
    const values = operands.map((part) => operand(part, scope))
    if (piped) values.push(result)
    if (name === undefined) result = values[0]
    else {
      const call = functions[name]
      if (call === undefined) throw new Error(`template parsing error: function ${JSON.stringify(name)} not defined`)
      result = call(...values)
    }
    piped = true
  }
  if (expression.assigns !== undefined) scope.variables.set(expression.assigns, result)
  return result
}

function rangeOver(node: Extract<Node, { kind: 'range' }>, scope: Scope): string {
  const value = evaluate(node.over, scope)
  if (!truthy(value)) return renderAll(node.otherwise, scope)
  const entries: [unknown, unknown][] = Array.isArray(value)
    ? value.map((item, at) => [at, item])
    : Object.entries(value as object).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return entries
    .map(([key, item]) => {
      const variables = new Map(scope.variables)
      if (node.key !== undefined) variables.set(node.key, key)
      if (node.value !== undefined) variables.set(node.value, item)
      return renderAll(node.body, { dot: item, variables })
    })
    .join('')
}

function render(node: Node, scope: Scope): string {
  switch (node.kind) {
    case 'text':
      return node.text
    case 'print': {
      const value = evaluate(node.expression, scope)
      return node.expression.assigns === undefined ? print(value) : ''
    }
    case 'if':
      return renderAll(truthy(evaluate(node.condition, scope)) ? node.body : node.otherwise, scope)
    case 'with': {
      const dot = evaluate(node.condition, scope)
      return truthy(dot) ? renderAll(node.body, { dot, variables: scope.variables }) : renderAll(node.otherwise, scope)
    }
    case 'range':
      return rangeOver(node, scope)
  }
}

const renderAll = (nodes: readonly Node[], scope: Scope): string => nodes.map((node) => render(node, scope)).join('')

/** Compiles a template once; throws on a syntax error. */
export function compileTemplate(source: string): (value: unknown) => string {
  const nodes = parseTemplate(source)
  return (value) => renderAll(nodes, { dot: value, variables: new Map([['$', value]]) })
}
