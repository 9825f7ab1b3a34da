/** Container names: wire facts 61 and 62. */
import { randomInt } from 'node:crypto'
import { EngineError } from '../base/errors.ts'
import { shortId } from '../base/identifier.ts'
import { adjectives, surnames } from './names.table.ts'

const pattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

declare const checked: unique symbol
/** Without slash, checked. */
export type ContainerName = string & { readonly [checked]: true }

/** One leading slash is taken off, as Docker does. */
export function containerName(untrusted: string): ContainerName {
  const name = untrusted.startsWith('/') ? untrusted.slice(1) : untrusted
  if (!pattern.test(name))
    throw new EngineError(
      'invalid',
      `Invalid container name (${untrusted}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    )
  return name as ContainerName
}

const tries = 6

/**
 * A free name of the form adjective_surname. After a collision a digit is appended; when luck runs out it is the
 * container's short id.
 *
 * @param pick a whole number from 0 to below its argument
 */
export function generateName(
  id: string,
  taken: (name: string) => boolean,
  pick: (below: number) => number = randomInt,
): ContainerName {
  for (let attempt = 0; attempt < tries; attempt += 1) {
    const pair = `${adjectives[pick(adjectives.length)]}_${surnames[pick(surnames.length)]}`
    const name = attempt === 0 ? pair : `${pair}${pick(10)}`
    if (!taken(name)) return name as ContainerName
  }
  return shortId(id) as ContainerName
}
