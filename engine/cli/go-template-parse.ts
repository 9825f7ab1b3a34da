/** The syntax of Go's text/template, as far as go-template.ts evaluates it. Pure. */

export type Operand =
  | { kind: 'literal'; value: unknown }
  | { kind: 'field'; names: string[] }
  | { kind: 'variable'; name: string; names: string[] }
  | { kind: 'group'; expression: Expression; names: string[] }

/** Commands of a pipeline: the result of one is the last argument of the next. */
export type Expression = { assigns?: string; commands: { name?: string; operands: Operand[] }[] }

export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'print'; expression: Expression }
  | { kind: 'if' | 'with'; condition: Expression; body: Node[]; otherwise: Node[] }
  | { kind: 'range'; over: Expression; key?: string; value?: string; body: Node[]; otherwise: Node[] }

const fail = (what: string): never => {
  throw new Error(`template parsing error: ${what}`)
}

type Part = { text: string } | { action: string }

function split(source: string): Part[] {
  const parts: Part[] = []
  let rest = source
  for (;;) {
    const start = rest.indexOf('{{')
    if (start === -1) return [...parts, { text: rest }]
    const end = rest.indexOf('}}', start)
    if (end === -1) fail('unclosed action')
    let before = rest.slice(0, start)
    let action = rest.slice(start + 2, end)
    rest = rest.slice(end + 2)
    if (/^-\s/.test(action)) {
      before = before.trimEnd()
      action = action.slice(1)
    }
    if (/\s-$/.test(action)) {
      rest = rest.trimStart()
      action = action.slice(0, -1)
    }
    parts.push({ text: before }, { action: action.trim() })
  }
}

const tokenPattern =
  /\s*("(?:[^"\\]|\\.)*"|`[^`]*`|'(?:[^'\\]|\\.)'|:=|[|(),=]|\$?\w*(?:\.\w+)+|\$\w*|\.|-?\d+(?:\.\d+)?|\w+)/y

function tokenize(text: string): string[] {
  const tokens: string[] = []
  tokenPattern.lastIndex = 0
  while (tokenPattern.lastIndex < text.trimEnd().length) {
    const at = tokenPattern.lastIndex
    const match = tokenPattern.exec(text)
    if (match === null) return fail(`unexpected ${JSON.stringify(text.slice(at).trim())} in operand`)
    tokens.push(match[1]!)
  }
  return tokens
}

class ExpressionParser {
  readonly #tokens: string[]
  #at = 0

  constructor(tokens: string[]) {
    this.#tokens = tokens
  }

  whole(): Expression {
    const expression = this.#pipeline()
    if (this.#at < this.#tokens.length) fail(`unexpected ${JSON.stringify(this.#tokens[this.#at])}`)
    return expression
  }

  #pipeline(): Expression {
    const expression: Expression = { commands: [] }
    if (this.#tokens[this.#at]?.startsWith('$') === true && [':=', '='].includes(this.#tokens[this.#at + 1] ?? '')) {
      expression.assigns = this.#tokens[this.#at]!
      this.#at += 2
    }
    do expression.commands.push(this.#command())
    while (this.#take('|'))
    return expression
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false
    this.#at += 1
    return true
  }

  #command(): { name?: string; operands: Operand[] } {
    const first = this.#tokens[this.#at]
    if (first === undefined) return fail('missing value for command')
    const named = /^[a-zA-Z_]\w*$/.test(first) && !['true', 'false', 'nil'].includes(first)
    if (named) this.#at += 1
    const operands: Operand[] = []
    while (this.#at < this.#tokens.length && this.#tokens[this.#at] !== '|' && this.#tokens[this.#at] !== ')')
      operands.push(this.#operand())
    return named ? { name: first, operands } : { operands }
  }

  #operand(): Operand {
    const token = this.#tokens[this.#at]!
    this.#at += 1
    if (token === '(') {
      const expression = this.#pipeline()
      if (!this.#take(')')) fail('unclosed left paren')
      const following = this.#tokens[this.#at]
      if (following?.startsWith('.') !== true || following === '.') return { kind: 'group', expression, names: [] }
      this.#at += 1
      return { kind: 'group', expression, names: following.slice(1).split('.') }
    }
    return simpleOperand(token)
  }
}

function simpleOperand(token: string): Operand {
  if (token === '.') return { kind: 'field', names: [] }
  if (token.startsWith('.')) return { kind: 'field', names: token.slice(1).split('.') }
  if (token.startsWith('$')) {
    const [name, ...names] = token.split('.')
    return { kind: 'variable', name: name!, names }
  }
  if (token.startsWith('"')) return { kind: 'literal', value: JSON.parse(token) }
  if (token.startsWith('`')) return { kind: 'literal', value: token.slice(1, -1) }
  if (/^-?\d/.test(token)) return { kind: 'literal', value: Number(token) }
  if (token === 'true' || token === 'false') return { kind: 'literal', value: token === 'true' }
  if (token === 'nil') return { kind: 'literal', value: undefined }
  // A function without arguments as an operand.
  return { kind: 'group', expression: { commands: [{ name: token, operands: [] }] }, names: [] }
}

const parseExpression = (text: string): Expression => new ExpressionParser(tokenize(text)).whole()

class TemplateParser {
  readonly #parts: Part[]
  #at = 0

  constructor(parts: Part[]) {
    this.#parts = parts
  }

  /** Up to an action that ends the block, which is returned; undefined at the end of the text. */
  nodes(): { nodes: Node[]; stop: string | undefined } {
    const nodes: Node[] = []
    while (this.#at < this.#parts.length) {
      const part = this.#parts[this.#at]!
      this.#at += 1
      if ('text' in part) {
        if (part.text !== '') nodes.push({ kind: 'text', text: part.text })
        continue
      }
      if (/^(end|else)\b/.test(part.action)) return { nodes, stop: part.action }
      if (!/^\/\*/.test(part.action)) nodes.push(this.#action(part.action))
    }
    return { nodes, stop: undefined }
  }

  #action(action: string): Node {
    const block = /^(if|with|range)\b(.*)$/s.exec(action)
    if (block === null) return { kind: 'print', expression: parseExpression(action) }
    const { body, otherwise } = this.#block()
    const head = block[2]!.trim()
    if (block[1] !== 'range')
      return { kind: block[1] as 'if' | 'with', condition: parseExpression(head), body, otherwise }
    const variables = /^(\$\w+)(?:\s*,\s*(\$\w+))?\s*:=\s*(.*)$/s.exec(head)
    if (variables === null) return { kind: 'range', over: parseExpression(head), body, otherwise }
    const [, first, second, over] = variables
    const names = second === undefined ? { value: first! } : { key: first!, value: second }
    return { kind: 'range', over: parseExpression(over!), ...names, body, otherwise }
  }

  #block(): { body: Node[]; otherwise: Node[] } {
    const { nodes: body, stop } = this.nodes()
    if (stop === 'end') return { body, otherwise: [] }
    if (stop === undefined) fail('unexpected EOF')
    const chained = /^else\s+(.+)$/s.exec(stop!)
    if (chained !== null) return { body, otherwise: [this.#action(chained[1]!)] }
    const { nodes: otherwise, stop: last } = this.nodes()
    if (last !== 'end') fail('unexpected EOF')
    return { body, otherwise }
  }
}

export function parseTemplate(source: string): Node[] {
  const { nodes, stop } = new TemplateParser(split(source)).nodes()
  if (stop !== undefined) fail(`unexpected {{${stop}}}`)
  return nodes
}
