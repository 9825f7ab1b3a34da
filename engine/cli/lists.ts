/** `ps` and `images`. */
import type { Command } from 'commander'
import type { ContainerSummary, Port } from '../api/contract/docker.ts'
import type { ImageSummary } from '../api/contract/docker-store.ts'
import { humanDuration } from '../lifecycle/status-text.ts'
import type { ApiClient } from './api-client.ts'
import { flagParsers } from './flag-parsers.ts'
import { type Column, type ListFlags, renderList } from './listing.ts'
import { humanSize } from './units.ts'

/** `-f key=value`, several times: the API's `filters`. */
export function filtersOf(flags: readonly string[]): string | undefined {
  const filters: Record<string, Record<string, boolean>> = {}
  for (const flag of flags) {
    const separator = flag.indexOf('=')
    if (separator === -1)
      throw new Error(
        `invalid argument ${JSON.stringify(flag)} for "-f, --filter" flag: bad format of filter (expected name=value)`,
      )
    const key = flag.slice(0, separator).trim().toLowerCase()
    filters[key] = { ...filters[key], [flag.slice(separator + 1).trim()]: true }
  }
  return flags.length === 0 ? undefined : JSON.stringify(filters)
}

export const ago = (seconds: number): string => `${humanDuration(Date.now() / 1000 - seconds)} ago`

function portText({ IP = '', PrivatePort, PublicPort, Type }: Port): string {
  if (PublicPort === undefined) return `${PrivatePort}/${Type}`
  return `${IP.includes(':') ? `[${IP}]` : IP}:${PublicPort}->${PrivatePort}/${Type}`
}

export const labelText = (labels: Record<string, string> | null): string =>
  Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(',')

export const localTime = (seconds: number): string => {
  const date = new Date(seconds * 1000 - new Date(seconds * 1000).getTimezoneOffset() * 60_000)
  const minutes = -new Date(seconds * 1000).getTimezoneOffset()
  const zone = `${minutes < 0 ? '-' : '+'}${String(Math.floor(Math.abs(minutes) / 60)).padStart(2, '0')}${String(Math.abs(minutes) % 60).padStart(2, '0')}`
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} ${zone} ${minutes === 0 ? 'UTC' : zone}`
}

export const containerColumns = (noTrunc: boolean): Column<ContainerSummary>[] => {
  const cut = (text: string, length: number) =>
    noTrunc || text.length <= length ? text : `${text.slice(0, length - 1)}…`
  return [
    { name: 'ID', head: 'CONTAINER ID', text: ({ Id }) => (noTrunc ? Id : Id.slice(0, 12)) },
    { name: 'Image', head: 'IMAGE', text: ({ Image }) => (Image === '' ? '<no image>' : Image) },
    { name: 'Command', head: 'COMMAND', text: ({ Command }) => JSON.stringify(cut(Command, 20)) },
    { name: 'RunningFor', head: 'CREATED', text: ({ Created }) => ago(Created) },
    { name: 'Status', head: 'STATUS', text: ({ Status }) => Status },
    { name: 'Ports', head: 'PORTS', text: ({ Ports }) => Ports.map(portText).join(', ') },
    { name: 'Names', head: 'NAMES', text: ({ Names }) => Names.map((name) => name.replace(/^\//, '')).join(',') },
    {
      name: 'Size',
      head: 'SIZE',
      text: ({ SizeRw = 0, SizeRootFs = 0 }) => `${humanSize(SizeRw)} (virtual ${humanSize(SizeRootFs)})`,
    },
    { name: 'State', head: 'STATE', text: ({ State }) => State },
    { name: 'CreatedAt', head: 'CREATED AT', text: ({ Created }) => localTime(Created) },
    { name: 'Labels', head: 'LABELS', text: ({ Labels }) => labelText(Labels) },
    {
      name: 'Networks',
      head: 'NETWORKS',
      text: ({ NetworkSettings }) => Object.keys(NetworkSettings?.Networks ?? {}).join(','),
    },
    {
      name: 'Mounts',
      head: 'MOUNTS',
      text: ({ Mounts }) => Mounts.map(({ Name, Source }) => cut(Name ?? Source, 15)).join(','),
    },
    {
      name: 'LocalVolumes',
      head: 'LOCAL VOLUMES',
      text: ({ Mounts }) => String(Mounts.filter(({ Type }) => Type === 'volume').length),
    },
  ]
}

type PsFlags = ListFlags & { all?: boolean; filter: string[]; last?: number; latest?: boolean; size?: boolean }

async function ps(client: ApiClient, flags: PsFlags): Promise<string> {
  const limit = flags.latest === true ? 1 : flags.last
  const query = {
    all: flags.all === true ? 1 : undefined,
    limit,
    size: flags.size === true ? 1 : undefined,
    filters: filtersOf(flags.filter),
  }
  const containers = await client.json<ContainerSummary[]>('GET', '/containers/json', { query })
  const shown = [
    'ID',
    'Image',
    'Command',
    'RunningFor',
    'Status',
    'Ports',
    'Names',
    ...(flags.size === true ? ['Size'] : []),
  ]
  return renderList(containers, containerColumns(flags.noTrunc === true), shown, 'ID', flags)
}

export type ImageRow = { image: ImageSummary; repository: string; tag: string; digest: string }

export const imageColumns = (noTrunc: boolean): Column<ImageRow>[] => [
  { name: 'Repository', head: 'REPOSITORY', text: ({ repository }) => repository },
  { name: 'Tag', head: 'TAG', text: ({ tag }) => tag },
  { name: 'Digest', head: 'DIGEST', text: ({ digest }) => digest },
  {
    name: 'ID',
    head: 'IMAGE ID',
    text: ({ image }) => (noTrunc ? image.Id : image.Id.replace('sha256:', '').slice(0, 12)),
  },
  { name: 'CreatedSince', head: 'CREATED', text: ({ image }) => (image.Created <= 0 ? 'N/A' : ago(image.Created)) },
  { name: 'CreatedAt', head: 'CREATED AT', text: ({ image }) => localTime(image.Created) },
  { name: 'Size', head: 'SIZE', text: ({ image }) => humanSize(image.Size) },
  {
    name: 'Containers',
    head: 'CONTAINERS',
    text: ({ image }) => (image.Containers < 0 ? 'N/A' : String(image.Containers)),
  },
]

/** A row for each tag; an image without one has a row of its own. */
export function imageRows(images: readonly ImageSummary[]): ImageRow[] {
  return images.flatMap((image) => {
    const digestOf = (repository: string) =>
      image.RepoDigests?.find((digest) => digest.startsWith(`${repository}@`))?.split('@')[1] ?? '<none>'
    const tags = (image.RepoTags ?? []).filter((tag) => tag !== '<none>:<none>')
    if (tags.length === 0)
      return [
        {
          image,
          repository: image.RepoDigests?.[0]?.split('@')[0] ?? '<none>',
          tag: '<none>',
          digest: image.RepoDigests?.[0]?.split('@')[1] ?? '<none>',
        },
      ]
    return tags.map((reference) => {
      const separator = reference.lastIndexOf(':')
      const repository = reference.slice(0, separator)
      return { image, repository, tag: reference.slice(separator + 1), digest: digestOf(repository) }
    })
  })
}

type ImagesFlags = ListFlags & { all?: boolean; filter: string[]; digests?: boolean }

async function images(client: ApiClient, reference: string | undefined, flags: ImagesFlags): Promise<string> {
  const filters = filtersOf([...flags.filter, ...(reference === undefined ? [] : [`reference=${reference}`])])
  const list = await client.json<ImageSummary[]>('GET', '/images/json', {
    query: { all: flags.all === true ? 1 : undefined, filters },
  })
  const shown = ['Repository', 'Tag', ...(flags.digests === true ? ['Digest'] : []), 'ID', 'CreatedSince', 'Size']
  return renderList(imageRows(list), imageColumns(flags.noTrunc === true), shown, 'ID', flags)
}

export const listFlags = (command: Command): Command =>
  command
    .option('-q, --quiet', 'ids alone')
    .option('--format <template>', "'table', 'json', or a Go template")
    .option('-f, --filter <filter>', 'key=value', flagParsers.collect, [])

/** commander makes `trunc: false` of `--no-trunc`. */
export const withTrunc = <Flags>(flags: Flags & { trunc?: boolean }): Flags & { noTrunc: boolean } => ({
  ...flags,
  noTrunc: flags.trunc === false,
})

const wholeFlags = (command: Command): Command =>
  listFlags(command).option('--no-trunc', 'whole values').option('-a, --all', 'all of them')

export const addPs = (command: Command, client: () => ApiClient): Command =>
  wholeFlags(command.description('List containers'))
    .option('-n, --last <number>', 'the last ones created', flagParsers.integer)
    .option('-l, --latest', 'the last one created')
    .option('-s, --size', 'with sizes')
    .action(async (flags: PsFlags) => void process.stdout.write(await ps(client(), withTrunc(flags))))

export const addImages = (command: Command, client: () => ApiClient): Command =>
  wholeFlags(command.description('List images'))
    .option('--digests', 'with digests')
    .argument('[reference]')
    .action(
      async (reference: string | undefined, flags: ImagesFlags) =>
        void process.stdout.write(await images(client(), reference, withTrunc(flags))),
    )
