/** The values of flags, read; what they come to is docker run(1)'s. */
import { InvalidArgumentError } from 'commander'
import type { RestartPolicy } from '../api/contract/docker.ts'
import { parseBytes, parseDuration, parseSwap } from './units.ts'

/** commander reports the message of a failed parse with the flag's name. */
const parsed =
  <Value>(parse: (text: string) => Value) =>
  (text: string): Value => {
    try {
      return parse(text)
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message)
    }
  }

const collect = (text: string, previous: string[]): string[] => [...previous, text]
const integer = parsed((text) => {
  if (!/^-?\d+$/.test(text)) throw new Error(`invalid number: '${text}'`)
  return Number(text)
})
const bytes = parsed(parseBytes)
export const flagParsers = {
  integer,
  bytes,
  swap: parsed(parseSwap),
  cpus: parsed(parseCpus),
  restart: parsed(parseRestart),
  nanoseconds: parsed(parseNanoseconds),
  collect,
}

/** Processors, e.g. `1.5`: in 1e-9 processors. */
export function parseCpus(text: string): number {
  const value = Number(text)
  if (text === '' || !Number.isFinite(value) || value < 0)
    throw new Error(`failed to parse ${JSON.stringify(text)} as a number of CPUs`)
  return Math.round(value * 1e9)
}

export function parseRestart(text: string): RestartPolicy {
  const match = /^(no|always|unless-stopped|on-failure)(?::(\d+))?$/.exec(text)
  if (match === null) throw new Error(`invalid restart policy: ${JSON.stringify(text)}`)
  return { Name: match[1]!, MaximumRetryCount: Number(match[2] ?? 0) }
}

/** A Go duration, e.g. `1m30s`, in nanoseconds. */
function parseNanoseconds(text: string): number {
  const seconds = parseDuration(text)
  if (seconds === undefined) throw new Error(`time: invalid duration ${JSON.stringify(text)}`)
  return Math.round(seconds * 1e9)
}
