/** What stands behind the question mark of an address. Pure. */
import { invalid } from './errors.ts'

/** More than any client sends: dockerode repeats the lists of a body in the address. */
const mostParameters = 10_000

/** A parameter that comes more than once is an array. invalid for more of them than anybody has, and for a NUL in one. */
export function parseQuery(text: string): Record<string, string | string[]> {
  if (text === '') return {}
  // No prototype: its names are names like all others.
  const query: Record<string, string | string[]> = Object.create(null)
  let count = 0
  for (const [key, value] of new URLSearchParams(text)) {
    count += 1
    if (count > mostParameters) throw invalid(`invalid query: more than ${mostParameters} parameters`)
    if (value.includes('\0')) throw invalid(`invalid query parameter ${key}: a NUL character`)
    const known = query[key]
    if (known === undefined) query[key] = value
    else if (Array.isArray(known)) known.push(value)
    else query[key] = [known, value]
  }
  return query
}
