/** `diff`, `commit`, `export`, `history`: what a container wrote, and what an image is made of. */
import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import type { CommitAnswer, HistoryEntry } from '../api/contract/docker-store.ts'
import { type ApiClient, containerPath } from './api-client.ts'
import { flagParsers } from './flag-parsers.ts'
import { splitReference } from './image-verbs.ts'
import { type Column, type ListFlags, renderList } from './listing.ts'
import { ago, localTime, withTrunc } from './lists.ts'
import { humanSize } from './units.ts'

const letters = ['C', 'A', 'D']

async function diff(client: ApiClient, name: string): Promise<string> {
  type Change = { Path: string; Kind: number }
  const changes = (await client.json<Change[] | null>('GET', containerPath(name, '/changes'))) ?? []
  return changes.map(({ Path, Kind }) => `${letters[Kind]} ${Path}\n`).join('')
}

type CommitFlags = { author?: string; change: string[]; message?: string; pause: boolean }

async function commit(
  client: ApiClient,
  name: string,
  reference: string | undefined,
  flags: CommitFlags,
): Promise<void> {
  const target = reference === undefined ? undefined : splitReference(reference)
  const query = {
    container: name,
    repo: target?.repository,
    tag: target?.tag,
    author: flags.author,
    comment: flags.message,
    changes: flags.change,
    pause: flags.pause ? undefined : 0,
  }
  process.stdout.write(`${(await client.json<CommitAnswer>('POST', '/commit', { query })).Id}\n`)
}

async function exportRoot(client: ApiClient, name: string, { output }: { output?: string }): Promise<void> {
  if (output === undefined && process.stdout.isTTY)
    throw new Error('cowardly refusing to save to a terminal. Use the -o flag or redirect')
  const response = await client.open('GET', containerPath(name, '/export'))
  await pipeline(response, output === undefined ? process.stdout : createWriteStream(output, { mode: 0o600 }))
}

const historyColumns = (noTrunc: boolean, human: boolean): Column<HistoryEntry>[] => {
  const cut = (text: string, length: number): string =>
    noTrunc || text.length <= length ? text : `${text.slice(0, length - 1)}…`
  return [
    { name: 'ID', head: 'IMAGE', text: ({ Id }) => (noTrunc ? Id : Id.replace('sha256:', '').slice(0, 12)) },
    {
      name: 'CreatedSince',
      head: 'CREATED',
      text: ({ Created }) => (Created <= 0 ? 'N/A' : human ? ago(Created) : localTime(Created)),
    },
    { name: 'CreatedAt', head: 'CREATED AT', text: ({ Created }) => new Date(Created * 1000).toISOString() },
    { name: 'CreatedBy', head: 'CREATED BY', text: ({ CreatedBy }) => cut(CreatedBy.replaceAll('\t', ' '), 45) },
    { name: 'Size', head: 'SIZE', text: ({ Size }) => (human ? humanSize(Size) : String(Size)) },
    { name: 'Comment', head: 'COMMENT', text: ({ Comment }) => Comment },
  ]
}

async function history(client: ApiClient, name: string, flags: ListFlags & { human: boolean }): Promise<string> {
  const entries = await client.json<HistoryEntry[]>('GET', `/images/${name}/history`)
  const columns = historyColumns(flags.noTrunc === true, flags.human)
  return renderList(entries, columns, ['ID', 'CreatedSince', 'CreatedBy', 'Size', 'Comment'], 'ID', flags)
}

export function addHistory(program: Command, client: () => ApiClient): void {
  program
    .command('history')
    .description('The layers of an image')
    .option('-q, --quiet', 'ids alone')
    .option('--no-trunc', 'whole values')
    .option('--no-human', 'bytes and dates as they are')
    .option('-H, --human', 'sizes and ages in words', true)
    .option('--format <template>', "'table', 'json', or a Go template")
    .argument('<image>')
    .action(async (name: string, flags) => void process.stdout.write(await history(client(), name, withTrunc(flags))))
}

export function addLayerVerbs(program: Command, client: () => ApiClient): void {
  program
    .command('diff')
    .description('What a container changed on its disk')
    .argument('<container>')
    .action(async (name: string) => void process.stdout.write(await diff(client(), name)))
  program
    .command('commit')
    .description('Make an image of what a container changed')
    .option('-a, --author <name>', 'who made it')
    .option('-c, --change <instruction>', 'a Dockerfile instruction', flagParsers.collect, [])
    .option('-m, --message <text>', 'for the history')
    .option('-p, --pause', 'freeze it meanwhile', true)
    .option('--no-pause', 'let it go on meanwhile')
    .argument('<container>')
    .argument('[name]')
    .action((name: string, reference: string | undefined, flags: CommitFlags) =>
      commit(client(), name, reference, flags),
    )
  program
    .command('export')
    .description("A container's files as an archive")
    .option('-o, --output <file>', 'instead of stdout')
    .argument('<container>')
    .action((name: string, flags: { output?: string }) => exportRoot(client(), name, flags))
}
