/** `stats`: what containers use, once or until the end. */
import type { Command } from 'commander'
import type { ContainerSummary, Stats } from '../api/contract/docker.ts'
import { type ApiClient, containerPath, jsonLines } from './api-client.ts'
import { type Column, type ListFlags, renderList } from './listing.ts'
import { withTrunc } from './lists.ts'
import { type Figures, figuresOf } from './stats-figures.ts'
import { binarySize, humanSize } from './units.ts'

/** A container as it was asked for; without figures until there is a sample. */
type Row = { asked: string; id: string; name: string; figures: Figures | undefined }

const unknown = '--'
const shown =
  (text: (figures: Figures) => string) =>
  ({ figures }: Row): string =>
    figures === undefined ? unknown : text(figures)
const pair = (one: string, other: string): string => `${one} / ${other}`

const columns = (noTrunc: boolean): Column<Row>[] => [
  { name: 'Container', head: 'CONTAINER', text: ({ asked }) => asked },
  { name: 'ID', head: 'CONTAINER ID', text: ({ id }) => (noTrunc ? id : id.slice(0, 12)) || unknown },
  { name: 'Name', head: 'NAME', text: ({ name }) => name || unknown },
  { name: 'CPUPerc', head: 'CPU %', text: shown(({ cpu }) => `${cpu.toFixed(2)}%`) },
  {
    name: 'MemUsage',
    head: 'MEM USAGE / LIMIT',
    text: ({ figures }) =>
      figures === undefined ? pair(unknown, unknown) : pair(binarySize(figures.memory), binarySize(figures.limit)),
  },
  { name: 'MemPerc', head: 'MEM %', text: shown(({ memoryShare }) => `${memoryShare.toFixed(2)}%`) },
  { name: 'NetIO', head: 'NET I/O', text: shown(({ received, sent }) => pair(humanSize(received), humanSize(sent))) },
  { name: 'BlockIO', head: 'BLOCK I/O', text: shown(({ read, written }) => pair(humanSize(read), humanSize(written))) },
  { name: 'PIDs', head: 'PIDS', text: shown(({ pids }) => String(pids)) },
]
const usual = ['ID', 'Name', 'CPUPerc', 'MemUsage', 'MemPerc', 'NetIO', 'BlockIO', 'PIDs']

type StatsFlags = ListFlags & { all?: boolean; stream: boolean }

function take(row: Row, sample: Stats): void {
  row.id = sample.id
  row.name = sample.name.replace(/^\//, '')
  row.figures = figuresOf(sample)
}

async function listed(client: ApiClient, all: boolean | undefined): Promise<string[]> {
  const containers = await client.json<ContainerSummary[]>('GET', '/containers/json', {
    query: { all: all === true ? 1 : undefined },
  })
  return containers.map(({ Id }) => Id.slice(0, 12))
}

/** Samples of one container, each of them shown when the next picture is made. */
async function follow(client: ApiClient, row: Row): Promise<void> {
  const response = await client.open('GET', containerPath(row.asked, '/stats'), { query: { stream: 1 } })
  for await (const sample of jsonLines<Stats>(response)) take(row, sample)
}

async function stats(client: ApiClient, names: readonly string[], flags: StatsFlags): Promise<void> {
  const asked = names.length > 0 ? names : await listed(client, flags.all)
  const rows: Row[] = asked.map((name) => ({ asked: name, id: '', name: '', figures: undefined }))
  const picture = (): string => renderList(rows, columns(flags.noTrunc === true), usual, 'ID', flags)
  if (!flags.stream) {
    const ask = async (row: Row): Promise<void> =>
      take(row, await client.json<Stats>('GET', containerPath(row.asked, '/stats'), { query: { stream: 0 } }))
    await Promise.all(rows.map(ask))
    process.stdout.write(picture())
    return
  }
  // Over the picture before, line by line, and nothing of it below.
  const draw = (): boolean => process.stdout.write(`\u001b[H${picture().replaceAll('\n', '\u001b[K\n')}\u001b[J`)
  const timer = setInterval(draw, 500)
  try {
    await Promise.all(rows.map((row) => follow(client, row)))
  } finally {
    clearInterval(timer)
  }
}

export function addStats(program: Command, client: () => ApiClient): void {
  program
    .command('stats')
    .description('What containers use of processors, memory, networks and disks')
    .option('-a, --all', 'those that do not run, too')
    .option('--format <template>', "'table', 'json', or a Go template")
    .option('--no-stream', 'one picture, and no more')
    .option('--no-trunc', 'whole values')
    .argument('[container...]')
    .action((names: string[], flags) => stats(client(), names, withTrunc(flags)))
}
