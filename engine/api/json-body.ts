/** JSON request bodies under dockerd's rules: content type, size, one document. */
import type { Readable } from 'node:stream'
import type * as z from 'zod'
import { messageOf } from '../base/errors.ts'
import { checkDepth } from '../base/json-depth.ts'
import { invalid } from './errors.ts'

/** More than any real request. What is parsed takes ten times the memory of its text, and requests come side by side. */
export const largestBody = 4 * 1024 * 1024

/** A body of no bytes means all defaults. */
export function parseJson(contentType: string | undefined, body: Buffer): unknown {
  if (body.length === 0 && contentType === undefined) return {}
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/json')
    throw invalid(`unsupported Content-Type header (${contentType ?? ''}): must be 'application/json'`)
  if (body.length === 0) return {}
  checkDepth(body, 'invalid JSON: it')
  const text = body.toString('utf8')
  const value = parsed(text)
  // The kernel's names and words end at one: what is behind it would count in some places and not in others.
  if (/\\u0000|\0/.test(text) && holdsNul(value)) throw invalid('invalid JSON: a NUL character in a text')
  return value
}

function holdsNul(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\0')
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([key, inner]) => key.includes('\0') || holdsNul(inner))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const trailing = /after JSON/.test(messageOf(error))
    throw invalid(trailing ? 'unexpected content after JSON' : `invalid JSON: ${messageOf(error)}`, error)
  }
}

/** Reads a stream to its end; invalid above 4 MiB. */
export async function readBody(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > largestBody) throw invalid(`request body too large: more than ${largestBody} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Checks a value from outside; the error names the field. */
export function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  // A refinement's own sentence is Docker's text and stands alone.
  if (issue.code === 'custom') throw invalid(issue.message)
  const field = issue.path.length === 0 ? '' : ` ${issue.path.map(String).join('.')}`
  throw invalid(`invalid ${what}${field}: ${issue.message}`)
}
