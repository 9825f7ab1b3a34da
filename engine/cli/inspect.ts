/** `inspect`, `info`, `version`, `events`: what the daemon knows, as JSON or through a template. */
import type { Command } from 'commander'
import { newest } from '../api/api-version.ts'
import type { Event } from '../api/contract/docker.ts'
import type { Info, Version } from '../api/contract/docker-store.ts'
import { engineVersion } from '../base/engine-version.ts'
import { type ApiClient, containerPath, DaemonError, jsonLines } from './api-client.ts'
import { infoText, versionText } from './engine-facts.ts'
import { flagParsers } from './flag-parsers.ts'
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

/** @param said what the answer comes to where no format is given */
async function facts<Answer>(
  client: ApiClient,
  path: string,
  format: string | undefined,
  said: (answer: Answer) => string,
): Promise<void> {
  const answer = await client.json<Answer>('GET', path)
  if (format === 'json') process.stdout.write(`${JSON.stringify(answer)}\n`)
  else process.stdout.write(format === undefined ? said(answer) : `${compileTemplate(format)(answer)}\n`)
}

const ownVersion = {
  version: engineVersion,
  apiVersion: newest,
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
}

/** A template sees both sides, as Docker's does: `{{.Server.Version}}`. */
async function version(client: ApiClient, format: string | undefined): Promise<void> {
  const server = await client.json<Version>('GET', '/version')
  const Client = { Version: ownVersion.version, ApiVersion: ownVersion.apiVersion, Os: process.platform }
  if (format === undefined) process.stdout.write(versionText(ownVersion, server))
  else {
    const both = { Client, Server: server }
    process.stdout.write(`${format === 'json' ? JSON.stringify(both) : compileTemplate(format)(both)}\n`)
  }
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

export const addInfo = (program: Command, client: () => ApiClient): Command =>
  program
    .command('info')
    .description('The engine and its machine')
    .option('-f, --format <template>', "'json', or a Go template")
    .action(({ format }: { format?: string }) => facts<Info>(client(), '/info', format, infoText))

export const addEvents = (program: Command, client: () => ApiClient): Command =>
  program
    .command('events')
    .description('What happens, as it happens')
    .option('-f, --filter <filter>', 'key=value', flagParsers.collect, [])
    .option('--since <time>', 'a time, or a duration back')
    .option('--until <time>', 'a time, or a duration back')
    .option('--format <template>', "'json', or a Go template")
    .action((flags: { filter: string[] }) => events(client(), flags))

/** `network inspect NAME`: as `inspect --type network`. */
export const inspectKind = (group: Command, client: () => ApiClient, type: string): Command =>
  group
    .command('inspect')
    .description(`What the engine knows of a ${type}`)
    .option('-f, --format <template>', "'json', or a Go template")
    .argument(`<${type}...>`)
    .action((names: string[], flags: { format?: string; size?: boolean }) =>
      inspect(client(), names, { ...flags, type }),
    )

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
  addInfo(program, client)
  program
    .command('version')
    .description('Versions of this command and of the engine')
    .option('-f, --format <template>', "'json', or a Go template")
    .action(({ format }: { format?: string }) => version(client(), format))
  addEvents(program, client)
}
