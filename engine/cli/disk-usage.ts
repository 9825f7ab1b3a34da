/** `system df`: how much of the disk is whose, and how much could be had back; docker system df(1). */
import type { Command } from 'commander'
import type { ContainerSummary } from '../api/contract/docker.ts'
import type { DiskUsage, ImageSummary, Volume } from '../api/contract/docker-store.ts'
import type { ApiClient } from './api-client.ts'
import { compileTemplate } from './go-template.ts'
import { type Column, renderList } from './listing.ts'
import { containerColumns, type ImageRow, imageColumns, imageRows } from './lists.ts'
import { table } from './table.ts'
import { humanSize } from './units.ts'
import { volumeColumns } from './volume-verbs.ts'

export type Row = { Type: string; TotalCount: string; Active: string; Size: string; Reclaimable: string }

const sum = <Item>(items: readonly Item[], of: (item: Item) => number): number =>
  items.reduce((total, item) => total + of(item), 0)

/** As the sums are shown: with four digits. */
const total = (bytes: number): string => humanSize(bytes, 4)

const withShare = (bytes: number, of: number): string =>
  of > 0 ? `${total(bytes)} (${Math.floor((bytes * 100) / of)}%)` : total(bytes)

/** A layer that an unused image shares with a used one is not to be had back. */
function imagesRow({ Images, LayersSize }: DiskUsage): Row {
  const used = Images.filter(({ Containers }) => Containers > 0)
  const counted = used.filter(({ Size, SharedSize }) => Size !== -1 && SharedSize !== -1)
  const kept = sum(counted, ({ Size, SharedSize }) => Size - SharedSize)
  return {
    Type: 'Images',
    TotalCount: String(Images.length),
    Active: String(used.length),
    Size: total(LayersSize),
    Reclaimable: withShare(LayersSize - kept, LayersSize),
  }
}

const isActive = ({ State }: ContainerSummary): boolean => /running|paused|restarting/.test(State)

function containersRow({ Containers }: DiskUsage): Row {
  const size = sum(Containers, ({ SizeRw = 0 }) => SizeRw)
  const idle = sum(
    Containers.filter((container) => !isActive(container)),
    ({ SizeRw = 0 }) => SizeRw,
  )
  return {
    Type: 'Containers',
    TotalCount: String(Containers.length),
    Active: String(Containers.filter(isActive).length),
    Size: total(size),
    Reclaimable: withShare(idle, size),
  }
}

function volumesRow({ Volumes }: DiskUsage): Row {
  const sizeOf = ({ UsageData }: Volume): number => Math.max(0, UsageData?.Size ?? 0)
  const size = sum(Volumes, sizeOf)
  const unused = Volumes.filter(({ UsageData }) => UsageData?.RefCount === 0)
  return {
    Type: 'Local Volumes',
    TotalCount: String(Volumes.length),
    Active: String(Volumes.length - unused.length),
    Size: total(size),
    Reclaimable: withShare(sum(unused, sizeOf), size),
  }
}

/** There is no builder that keeps anything. */
const noCache: Row = { Type: 'Build Cache', TotalCount: '0', Active: '0', Size: '0B', Reclaimable: '0B' }

export const usageRows = (usage: DiskUsage): Row[] => [
  imagesRow(usage),
  containersRow(usage),
  volumesRow(usage),
  noCache,
]

const summaryColumns: readonly Column<Row>[] = [
  { name: 'Type', head: 'TYPE', text: ({ Type }) => Type },
  { name: 'TotalCount', head: 'TOTAL', text: ({ TotalCount }) => TotalCount },
  { name: 'Active', head: 'ACTIVE', text: ({ Active }) => Active },
  { name: 'Size', head: 'SIZE', text: ({ Size }) => Size },
  { name: 'Reclaimable', head: 'RECLAIMABLE', text: ({ Reclaimable }) => Reclaimable },
]

const known = (bytes: number): string => (bytes === -1 ? 'N/A' : total(bytes))

const imageShares: readonly Column<ImageRow>[] = [
  { name: 'Shared', head: 'SHARED SIZE', text: ({ image }) => known(image.SharedSize) },
  { name: 'Unique', head: 'UNIQUE SIZE', text: ({ image }) => known(unique(image)) },
]

const unique = ({ Size, SharedSize }: ImageSummary): number => (SharedSize === -1 ? -1 : Size - SharedSize)

const ownSize: Column<ContainerSummary> = {
  name: 'Own',
  head: 'SIZE',
  text: ({ SizeRw = 0 }) => humanSize(SizeRw),
}

function verbose(usage: DiskUsage): string {
  const images = renderList(
    imageRows(usage.Images),
    [...imageColumns(false), ...imageShares],
    ['Repository', 'Tag', 'ID', 'CreatedSince', 'Size', 'Shared', 'Unique', 'Containers'],
    'ID',
    {},
  )
  const containers = renderList(
    usage.Containers,
    [...containerColumns(false), ownSize],
    ['ID', 'Image', 'Command', 'LocalVolumes', 'Own', 'RunningFor', 'Status', 'Names'],
    'ID',
    {},
  )
  const volumes = renderList(usage.Volumes, volumeColumns, ['Name', 'Links', 'Size'], 'Name', {})
  const cache = table(['CACHE ID', 'CACHE TYPE', 'SIZE', 'CREATED', 'LAST USED', 'USAGE', 'SHARED'], [])
  return [
    `Images space usage:\n\n${images}`,
    `Containers space usage:\n\n${containers}`,
    `Local Volumes space usage:\n\n${volumes}`,
    `Build cache usage: 0B\n\n${cache}`,
  ].join('\n')
}

async function df(client: ApiClient, flags: { verbose?: boolean; format?: string }): Promise<string> {
  const usage = await client.json<DiskUsage>('GET', '/system/df')
  if (flags.verbose !== true)
    return renderList(
      usageRows(usage),
      summaryColumns,
      ['Type', 'TotalCount', 'Active', 'Size', 'Reclaimable'],
      'Type',
      flags,
    )
  if (flags.format === undefined || flags.format === 'table') return verbose(usage)
  return flags.format === 'json' ? `${JSON.stringify(usage)}\n` : `${compileTemplate(flags.format)(usage)}\n`
}

export function addDiskUsage(group: Command, client: () => ApiClient): void {
  group
    .command('df')
    .description('How much of the disk is used')
    .option('-v, --verbose', 'each image, container and volume')
    .option('--format <template>', "'table', 'json', or a Go template")
    .action(async (flags) => void process.stdout.write(await df(client(), flags)))
}
