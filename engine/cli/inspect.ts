/** `inspect`, `info`, `version`, `events`: what the daemon knows, as JSON or through a template. */
import type { Command } from 'commander'
import type { Event } from '../api/contract/docker.ts'
import { type ApiClient, containerPath, DaemonError, jsonLines } from './api-client.ts'
import { flagParsers } from './create-flags.ts'
import { compileTemplate } from './go-template.ts'
import { filtersOf } from './lists.ts'
import { parseMoment } from './units.ts'

const kinds: readonly (readonly [kind: string, path: (name: string) => string])[] = [
  ['container', (name) => containerPath(name, '/json')],
  ['image', (name) => `/images/${name}/json`],
  ['network', (name) => `/networks/${encodeURIComponent(name)}`],
  ['volume', (name) => `/volumes/${encodeURIComponent(name)}`],
]

/** The first kind that knows the name, in docker's order. */
async function find(client: ApiClient, name: string, type: string | undefined, size: boolean): Promise<unknown> {
  for (const [kind, path] of kinds) {
    if (type !== undefined && type !== kind) continue
    try {
      return await client.json<unknown>('GET', path(name), {
        query: { size: size && kind === 'container' ? 1 : undefined },
      })
    } catch (error) {
      if (!(error instanceof DaemonError) || error.status !== 404) throw error
    }
  }
  throw new Error(`Error: No such ${type ?? 'object'}: ${name}`)
}

async function inspect(
  client: ApiClient,
  names: string[],
  flags: { format?: string; type?: string; size?: boolean },
): Promise<void> {
  const found: unknown[] = []
  for (const name of names) {
    try {
      found.push(await find(client, name, flags.type, flags.size === true))
    } catch (error) {
      process.stderr.write(`${(error as Error).message}\n`)
      process.exitCode = 1
    }
  }
  if (flags.format === undefined || flags.format === 'json') {
    const indent = flags.format === 'json' ? undefined : 4
    process.stdout.write(`${JSON.stringify(found, undefined, indent)}\n`)
    return
  }
  const template = compileTemplate(flags.format)
  for (const item of found) process.stdout.write(`${template(item)}\n`)
}

async function facts(client: ApiClient, path: string, format: string | undefined): Promise<void> {
  const answer = await client.json<Record<string, unknown>>('GET', path)
  if (format === 'json') process.stdout.write(`${JSON.stringify(answer)}\n`)
  else if (format !== undefined) process.stdout.write(`${compileTemplate(format)(answer)}\n`)
  else for (const line of factLines(answer, '')) process.stdout.write(`${line}\n`)
}

/** `Name: value`, nested by indentation; what is empty is left out. */
function factLines(value: Record<string, unknown>, indent: string): string[] {
  return Object.entries(value).flatMap(([key, item]) => {
    if (item === null || item === '' || (Array.isArray(item) && item.length === 0)) return []
    if (Array.isArray(item) && item.every((entry) => typeof entry !== 'object'))
      return [`${indent}${key}: ${item.join(' ')}`]
    if (typeof item === 'object')
      return [`${indent}${key}:`, ...factLines(item as Record<string, unknown>, `${indent} `)]
    return [`${indent}${key}: ${item}`]
  })
}

function eventText({ Type, Action, Actor, time, timeNano }: Event): string {
  const attributes = Object.entries(Actor.Attributes)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
  const fraction = String(BigInt(timeNano) % 1_000_000_000n).padStart(9, '0')
  return `${new Date(time * 1000).toISOString().slice(0, 19)}.${fraction}Z ${Type} ${Action} ${Actor.ID}${attributes.length === 0 ? '' : ` (${attributes.join(', ')})`}`
}

async function events(
  client: ApiClient,
  flags: { filter: string[]; since?: string; until?: string; format?: string },
): Promise<void> {
  const query = {
    filters: filtersOf(flags.filter),
    since: flags.since === undefined ? undefined : parseMoment(flags.since),
    until: flags.until === undefined ? undefined : parseMoment(flags.until),
  }
  const template = flags.format === undefined || flags.format === 'json' ? undefined : compileTemplate(flags.format)
  for await (const event of jsonLines<Event>(await client.open('GET', '/events', { query })))
    process.stdout.write(
      `${flags.format === 'json' ? JSON.stringify(event) : template === undefined ? eventText(event) : template(event)}\n`,
    )
}

export function addInspectCommands(program: Command, client: () => ApiClient): void {
  program
    .command('inspect')
    .description('What the engine knows of containers, images, networks, volumes')
    .option('-f, --format <template>', "'json', or a Go template")
    .option('--type <kind>', 'container, image, network or volume')
    .option('-s, --size', "with a container's sizes")
    .argument('<name...>')
    .action((names: string[], flags: { format?: string; type?: string; size?: boolean }) =>
      inspect(client(), names, flags),
    )
  program
    .command('info')
    .description('The engine and its machine')
    .option('-f, --format <template>', "'json', or a Go template")
    .action(({ format }: { format?: string }) => facts(client(), '/info', format))
  program
    .command('version')
    .description("The engine's version")
    .option('-f, --format <template>', "'json', or a Go template")
    .action(({ format }: { format?: string }) => facts(client(), '/version', format))
  program
    .command('events')
    .description('What happens, as it happens')
    .option('-f, --filter <filter>', 'key=value', flagParsers.collect, [])
    .option('--since <time>', 'a time, or a duration back')
    .option('--until <time>', 'a time, or a duration back')
    .option('--format <template>', "'json', or a Go template")
    .action((flags: { filter: string[] }) => events(client(), flags))
}
