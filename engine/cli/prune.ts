/** `container prune`, `image prune`, …, `system prune`: the question, the call, what went. */
import type { Command } from 'commander'
import type { DeletedImage } from '../api/contract/docker-store.ts'
import type { ApiClient } from './api-client.ts'
import { confirmed } from './each.ts'
import { flagParsers } from './flag-parsers.ts'
import { filtersOf } from './lists.ts'
import { humanSize } from './units.ts'

type Kind = 'containers' | 'images' | 'networks' | 'volumes'
type Flags = { force?: boolean; all?: boolean; filter: string[]; volumes?: boolean }

type Answer = {
  ContainersDeleted?: string[] | null
  NetworksDeleted?: string[] | null
  VolumesDeleted?: string[] | null
  ImagesDeleted?: DeletedImage[] | null
  SpaceReclaimed?: number
}

type Pruned = { title: string; lines: string[]; bytes: number }

const titles: Readonly<Record<Kind, string>> = {
  containers: 'Deleted Containers:',
  images: 'Deleted Images:',
  networks: 'Deleted Networks:',
  volumes: 'Deleted Volumes:',
}

/** What goes, in Docker's words; the second of two when `--all` is given. */
const sentences: Readonly<Record<Kind, readonly [usual: string, all: string]>> = {
  containers: ['all stopped containers', 'all stopped containers'],
  images: ['all dangling images', 'all images without at least one container associated to them'],
  networks: [
    'all custom networks not used by at least one container',
    'all custom networks not used by at least one container',
  ],
  volumes: [
    'anonymous local volumes not used by at least one container',
    'all local volumes not used by at least one container',
  ],
}

const imageLine = (image: DeletedImage): string =>
  'Untagged' in image ? `untagged: ${image.Untagged}` : `deleted: ${image.Deleted}`

/** Images are dangling ones unless `all`, volumes anonymous ones; wire fact 114. */
async function pruneKind(client: ApiClient, kind: Kind, { all, filter }: Flags): Promise<Pruned> {
  const more = kind === 'images' ? [`dangling=${all !== true}`] : kind === 'volumes' && all === true ? ['all=true'] : []
  const query = { filters: filtersOf([...filter, ...more]) }
  const answer = await client.json<Answer>('POST', `/${kind}/prune`, { query })
  const names = answer.ContainersDeleted ?? answer.NetworksDeleted ?? answer.VolumesDeleted ?? []
  const lines = [...names, ...(answer.ImagesDeleted ?? []).map(imageLine)]
  return { title: titles[kind], lines, bytes: answer.SpaceReclaimed ?? 0 }
}

const report = ({ title, lines }: Pruned): string => (lines.length === 0 ? '' : `${[title, ...lines].join('\n')}\n\n`)

const reclaimed = (bytes: number): string => `Total reclaimed space: ${humanSize(bytes, 4)}\n`

export function addPrune(group: Command, client: () => ApiClient, kind: Kind): void {
  const command = group
    .command('prune')
    .description('Remove what is not used')
    .option('-f, --force', 'do not ask')
    .option('--filter <filter>', 'key=value', flagParsers.collect, [])
  if (kind === 'images' || kind === 'volumes') command.option('-a, --all', sentences[kind][1])
  command.action(async (flags: Flags) => {
    const what = sentences[kind][flags.all === true ? 1 : 0]
    if (!(await confirmed(`WARNING! This will remove ${what}.`, flags.force))) return
    const pruned = await pruneKind(client(), kind, flags)
    process.stdout.write(`${report(pruned)}${kind === 'networks' ? '' : reclaimed(pruned.bytes)}`)
  })
}

function systemWarning({ all, volumes, filter }: Flags): string {
  const lines = [
    'all stopped containers',
    'all networks not used by at least one container',
    ...(volumes === true ? ['all anonymous volumes not used by at least one container'] : []),
    sentences.images[all === true ? 1 : 0],
  ]
  const items =
    filter.length === 0 ? [] : ['', '  Items to be pruned will be filtered with:', ...filter.map((one) => `  - ${one}`)]
  return ['WARNING! This will remove:', ...lines.map((line) => `  - ${line}`), ...items, ''].join('\n')
}

/** Containers first: what they hold is free then. */
async function pruneSystem(client: ApiClient, flags: Flags): Promise<void> {
  if (flags.volumes === true && flags.filter.some((one) => one.startsWith('until=')))
    throw new Error('ERROR: The "until" filter is not supported with "--volumes"')
  if (!(await confirmed(systemWarning(flags), flags.force))) return
  const kinds: Kind[] = ['containers', 'networks', ...(flags.volumes === true ? (['volumes'] as const) : []), 'images']
  let bytes = 0
  for (const kind of kinds) {
    const pruned = await pruneKind(client, kind, kind === 'volumes' ? { filter: flags.filter } : flags)
    process.stdout.write(report(pruned))
    bytes += pruned.bytes
  }
  process.stdout.write(reclaimed(bytes))
}

export function addSystemPrune(group: Command, client: () => ApiClient): void {
  group
    .command('prune')
    .description('Remove what is not used')
    .option('-a, --all', 'also images that have a name')
    .option('-f, --force', 'do not ask')
    .option('--volumes', 'also anonymous volumes')
    .option('--filter <filter>', 'key=value', flagParsers.collect, [])
    .action((flags: Flags) => pruneSystem(client(), flags))
}
