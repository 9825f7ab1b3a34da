/**
 * Whether a config.json has the shape the specification gives it. Properties that it does not know are passed over, as
 * config.md "Extensibility" demands; a value that is none of those it allows is an error ("Valid values"). Pure.
 */
import { EngineError } from '../base/errors.ts'
import type { Shape } from './config-shape.table.ts'

/** Parses config.json; `null` is as good as absent. Throws invalid for what is no JSON. */
export function parseConfig<Config>(text: string): Config {
  try {
    return JSON.parse(text, (_name, value) => (value === null ? undefined : value)) as Config
  } catch (error) {
    throw new EngineError('invalid', `config.json is not JSON: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}

const namesOf = new WeakMap<object, ReadonlyMap<string, string>>()

/** The names of a shape's fields by their small letters. */
function namesIn(fields: Readonly<Record<string, Shape>>): ReadonlyMap<string, string> {
  const known = namesOf.get(fields) ?? new Map(Object.keys(fields).map((name) => [name.toLowerCase(), name]))
  namesOf.set(fields, known)
  return known
}

/**
 * With the names of the specification: Go's decoder, and so runc, takes a name in any letters where there is none that
 * is the same, and callers of it have such configurations.
 */
export function withKnownNames<Value>(value: Value, shape: Shape): Value {
  if (typeof shape === 'string' || typeof value !== 'object' || value === null) return value
  if ('list' in shape)
    return Array.isArray(value) ? (value.map((one) => withKnownNames(one, shape.list)) as Value) : value
  if (Array.isArray(value) || !('map' in shape || 'fields' in shape)) return value
  const rename = ([name, one]: [string, unknown]): [string, unknown] => {
    if ('map' in shape) return [name, withKnownNames(one, shape.map)]
    const known = knownName(name, value, shape.fields)
    const inner = Object.hasOwn(shape.fields, known) ? shape.fields[known] : undefined
    return [known, inner === undefined ? one : withKnownNames(one, inner)]
  }
  return Object.fromEntries(Object.entries(value).map(rename)) as Value
}

function knownName(name: string, value: object, fields: Readonly<Record<string, Shape>>): string {
  if (Object.hasOwn(fields, name)) return name
  const known = namesIn(fields).get(name.toLowerCase())
  return known === undefined || Object.hasOwn(value, known) ? name : known
}

const show = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

function refuse(field: string, value: unknown, wanted: string): never {
  throw new EngineError('invalid', `${field}: ${show(value)} is not ${wanted}`)
}

/** Throws invalid, naming the first field that does not fit. */
export function checkShape(field: string, value: unknown, shape: Shape): void {
  if (typeof shape === 'string') checkPlain(field, value, shape)
  else if ('integer' in shape) {
    const [least, most] = shape.integer
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
      refuse(field, value, `a whole number from ${least} to ${most}`)
  } else if ('oneOf' in shape) {
    if (!shape.oneOf.includes(value as string)) refuse(field, value, `one of ${shape.oneOf.join(', ')}`)
  } else if ('like' in shape) {
    if (typeof value !== 'string' || !shape.like.test(value)) refuse(field, value, `of the form ${shape.like.source}`)
  } else if ('list' in shape) {
    if (!Array.isArray(value)) refuse(field, value, 'a list')
    for (const [index, one] of value.entries()) checkShape(`${field}[${index}]`, one, shape.list)
  } else if ('map' in shape) {
    for (const [name, one] of Object.entries(objectOf(field, value))) checkShape(`${field}.${name}`, one, shape.map)
  } else checkFields(field, objectOf(field, value), shape)
}

const below = (field: string, name: string): string => (field === '' ? name : `${field}.${name}`)

function checkFields(
  field: string,
  value: Readonly<Record<string, unknown>>,
  shape: Extract<Shape, { fields: unknown }>,
): void {
  for (const name of shape.needed ?? [])
    if (value[name] === undefined) throw new EngineError('invalid', `${below(field, name)}: is needed`)
  for (const [name, one] of Object.entries(value)) {
    const wanted = Object.hasOwn(shape.fields, name) ? shape.fields[name] : undefined
    if (wanted !== undefined && one !== undefined) checkShape(below(field, name), one, wanted)
  }
}

function objectOf(field: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(field, value, 'an object')
  return value as Readonly<Record<string, unknown>>
}

function checkPlain(field: string, value: unknown, shape: Extract<Shape, string>): void {
  if (shape === 'object') objectOf(field, value)
  else if (shape === 'boolean') {
    if (typeof value !== 'boolean') refuse(field, value, 'true or false')
  } else if (typeof value !== 'string') refuse(field, value, 'a string')
  else if (value.includes('\0')) refuse(field, value, 'a string without NUL')
  else if (shape === 'line' && value.includes('\n')) refuse(field, value, 'a single line')
  else if (shape === 'path' && !value.startsWith('/')) refuse(field, value, 'an absolute path')
}
