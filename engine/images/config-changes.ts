/** `--change` of docker import and docker commit: single Dockerfile instructions applied to a configuration. */
import { posix } from 'node:path'
import { EngineError } from '../base/errors.ts'
import type { ImageRunConfig } from './image.ts'

type Change = (config: ImageRunConfig, rest: string) => ImageRunConfig

/** Throws invalid in Docker's words for an instruction that cannot change a configuration. */
export function applyChanges(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  let result = config
  for (const line of changes.flatMap((change) => change.split('\n'))) {
    const match = /^\s*(\w+)(?:\s+([\s\S]*?))?\s*$/.exec(line)
    if (match === null) {
      if (line.trim() === '') continue
      throw new EngineError('invalid', `${JSON.stringify(line)} is not a valid change command`)
    }
    const name = match[1]!.toUpperCase()
    const change = instructions[name]
    if (change === undefined) throw new EngineError('invalid', `${name} is not a valid change command`)
    if ((match[2] ?? '') === '') throw new EngineError('invalid', `${name} requires at least one argument`)
    result = change(result, match[2]!)
  }
  return result
}

/** The exec form: a JSON array of strings. */
function jsonArray(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined
  } catch {
    // What is no JSON is a command for the shell.
    return undefined
  }
}

const command = (config: ImageRunConfig, text: string): string[] =>
  jsonArray(text) ?? [...(config.Shell ?? ['/bin/sh', '-c']), text]

/** Words, with quotes and backslashes as a Dockerfile has them. */
export function words(text: string): string[] {
  const found: string[] = []
  const pattern = /(?:[^\s"'\\]|\\[\s\S]|"(?:[^"\\]|\\[\s\S])*"|'[^']*')+/g
  for (const [word] of text.matchAll(pattern)) found.push(word)
  return found
}

const unquoted = (word: string): string =>
  word.replace(/"((?:[^"\\]|\\[\s\S])*)"|'([^']*)'|\\([\s\S])/g, (_all, double, single, escaped) =>
    double !== undefined ? double.replace(/\\(["\\$])/g, '$1') : (single ?? escaped),
  )

/** `KEY=value …`, or the old form `KEY the rest`. */
function pairs(name: string, text: string): [string, string][] {
  const [first, ...others] = words(text)
  if (first === undefined) throw new EngineError('invalid', `${name} must have two arguments`)
  if (!first.includes('=')) {
    if (others.length === 0) throw new EngineError('invalid', `${name} must have two arguments`)
    return [[first, unquoted(text.slice(text.indexOf(first) + first.length).trim())]]
  }
  return [first, ...others].map((word) => {
    const plain = unquoted(word)
    const equals = plain.indexOf('=')
    if (equals < 1)
      throw new EngineError(
        'invalid',
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      )
    return [plain.slice(0, equals), plain.slice(equals + 1)]
  })
}

function withEnvironment(config: ImageRunConfig, text: string): ImageRunConfig {
  const environment = [...(config.Env ?? [])]
  for (const [key, value] of pairs('ENV', text)) {
    const at = environment.findIndex((entry) => entry.startsWith(`${key}=`))
    if (at === -1) environment.push(`${key}=${value}`)
    else environment[at] = `${key}=${value}`
  }
  return { ...config, Env: environment }
}

const setOf = (keys: readonly string[]): Record<string, object> => Object.fromEntries(keys.map((key) => [key, {}]))

/** `80`, `80/udp`, `8000-8010/tcp`. */
function ports(text: string): string[] {
  return words(text).flatMap((word) => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(word)
    const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])]
    if (match === null || first < 1 || last > 65535 || last < first)
      throw new EngineError('invalid', `Invalid containerPort: ${word}`)
    return Array.from(
      { length: last - first + 1 },
      (_, index) => `${first + index}/${(match[3] ?? 'tcp').toLowerCase()}`,
    )
  })
}

/** Go's durations: `1m30s`, `500ms`; nanoseconds. */
function duration(flag: string, text: string): number {
  const units: Record<string, number> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 }
  if (!/^(\d+(\.\d+)?(ns|us|ms|s|m|h))+$/.test(text))
    throw new EngineError('invalid', `HEALTHCHECK --${flag}: ${JSON.stringify(text)} is not a duration`)
  let sum = 0
  for (const [, value, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)/g)) sum += Number(value) * units[unit!]!
  return Math.round(sum)
}

const healthFlags: Readonly<Record<string, 'Interval' | 'Timeout' | 'StartPeriod' | 'StartInterval'>> = {
  interval: 'Interval',
  timeout: 'Timeout',
  'start-period': 'StartPeriod',
  'start-interval': 'StartInterval',
}

function withHealthcheck(config: ImageRunConfig, text: string): ImageRunConfig {
  const check: NonNullable<ImageRunConfig['Healthcheck']> = {}
  let rest = text
  for (let match = /^--([a-z-]+)=(\S+)\s*/.exec(rest); match !== null; match = /^--([a-z-]+)=(\S+)\s*/.exec(rest)) {
    const [all, flag, value] = match as unknown as [string, string, string]
    rest = rest.slice(all.length)
    const field = healthFlags[flag]
    if (field !== undefined) check[field] = duration(flag, value)
    else if (flag === 'retries' && /^\d+$/.test(value)) check.Retries = Number(value)
    else throw new EngineError('invalid', `HEALTHCHECK has no flag --${flag}=${value}`)
  }
  if (/^none$/i.test(rest)) return { ...config, Healthcheck: { Test: ['NONE'] } }
  const given = /^cmd\s+([\s\S]+)$/i.exec(rest)?.[1]
  if (given === undefined)
    throw new EngineError('invalid', `Unknown type ${JSON.stringify(rest.split(/\s/)[0])} in HEALTHCHECK (try CMD)`)
  const array = jsonArray(given)
  return { ...config, Healthcheck: { ...check, Test: array === undefined ? ['CMD-SHELL', given] : ['CMD', ...array] } }
}

const instructions: Readonly<Record<string, Change>> = {
  CMD: (config, rest) => ({ ...config, Cmd: command(config, rest) }),
  ENTRYPOINT: (config, rest) => ({ ...config, Entrypoint: command(config, rest) }),
  ENV: withEnvironment,
  EXPOSE: (config, rest) => ({ ...config, ExposedPorts: { ...config.ExposedPorts, ...setOf(ports(rest)) } }),
  HEALTHCHECK: withHealthcheck,
  LABEL: (config, rest) => ({
    ...config,
    Labels: { ...config.Labels, ...Object.fromEntries(pairs('LABEL', rest)) },
  }),
  ONBUILD: (config, rest) => ({ ...config, OnBuild: [...(config.OnBuild ?? []), rest] }),
  SHELL: (config, rest) => {
    const shell = jsonArray(rest)
    if (shell === undefined) throw new EngineError('invalid', 'SHELL requires the arguments to be in JSON form')
    return { ...config, Shell: shell }
  },
  STOPSIGNAL: (config, rest) => ({ ...config, StopSignal: rest }),
  USER: (config, rest) => ({ ...config, User: rest }),
  VOLUME: (config, rest) => ({
    ...config,
    Volumes: { ...config.Volumes, ...setOf(jsonArray(rest) ?? words(rest).map(unquoted)) },
  }),
  WORKDIR: (config, rest) => ({
    ...config,
    WorkingDir: posix.resolve('/', config.WorkingDir ?? '/', unquoted(rest)),
  }),
}
