/** `volume ls`, `create`, `rm`, …; docker volume(1). */
import type { Command } from 'commander'
import type { Volume, VolumeList } from '../api/contract/docker-store.ts'
import type { ApiClient } from './api-client.ts'
import { forEach } from './each.ts'
import { flagParsers } from './flag-parsers.ts'
import { given, keyValues } from './flag-values.ts'
import { inspectKind } from './inspect.ts'
import { type Column, type ListFlags, renderList } from './listing.ts'
import { filtersOf, labelText, listFlags } from './lists.ts'
import { addPrune } from './prune.ts'
import { humanSize } from './units.ts'

export const volumeColumns: readonly Column<Volume>[] = [
  { name: 'Driver', head: 'DRIVER', text: ({ Driver }) => Driver },
  { name: 'Name', head: 'VOLUME NAME', text: ({ Name }) => Name },
  { name: 'Scope', head: 'SCOPE', text: ({ Scope }) => Scope },
  { name: 'Mountpoint', head: 'MOUNTPOINT', text: ({ Mountpoint }) => Mountpoint },
  { name: 'Labels', head: 'LABELS', text: ({ Labels }) => labelText(Labels) },
  { name: 'Links', head: 'LINKS', text: ({ UsageData }) => (UsageData ? String(UsageData.RefCount) : 'N/A') },
  { name: 'Size', head: 'SIZE', text: ({ UsageData }) => (UsageData ? humanSize(UsageData.Size, 4) : 'N/A') },
]

async function list(client: ApiClient, flags: ListFlags & { filter: string[] }): Promise<string> {
  const { Volumes } = await client.json<VolumeList>('GET', '/volumes', { query: { filters: filtersOf(flags.filter) } })
  const sorted = Volumes.toSorted((a, b) => (a.Name < b.Name ? -1 : 1))
  return renderList(sorted, volumeColumns, ['Driver', 'Name'], 'Name', flags)
}

type CreateFlags = { driver: string; label: string[]; opt: string[]; name?: string }

async function create(client: ApiClient, name: string | undefined, flags: CreateFlags): Promise<void> {
  const body = {
    ...given({ Name: name ?? flags.name }),
    Driver: flags.driver,
    DriverOpts: keyValues(flags.opt),
    Labels: keyValues(flags.label),
  }
  process.stdout.write(`${(await client.json<Volume>('POST', '/volumes/create', { body })).Name}\n`)
}

export function addVolumeVerbs(program: Command, client: () => ApiClient): void {
  const { collect } = flagParsers
  const group = program.command('volume').description('Volumes: files that outlive containers')
  listFlags(group.command('ls').alias('list').description('List volumes')).action(
    async (flags) => void process.stdout.write(await list(client(), flags)),
  )
  group
    .command('create')
    .description('Create a volume')
    .option('-d, --driver <name>', 'local', 'local')
    .option('--label <label>', 'key=value', collect, [])
    .option('-o, --opt <option>', 'key=value for the driver', collect, [])
    .option('--name <name>', 'as the argument')
    .argument('[volume]')
    .action((name: string | undefined, flags: CreateFlags) => create(client(), name, flags))
  inspectKind(group, client, 'volume')
  group
    .command('rm')
    .alias('remove')
    .description('Remove volumes')
    .option('-f, --force', 'no complaint about those that are not there')
    .argument('<volume...>')
    .action((names: string[], { force }: { force?: boolean }) =>
      forEach(names, (name) =>
        client().send('DELETE', `/volumes/${encodeURIComponent(name)}`, {
          query: { force: force === true ? 1 : undefined },
        }),
      ),
    )
  addPrune(group, client, 'volumes')
}
