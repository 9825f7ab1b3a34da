/** `search`: repositories of an index. */
import type { Command } from 'commander'
import type { SearchResult } from '../api/contract/docker-store.ts'
import type { ApiClient } from './api-client.ts'
import { flagParsers } from './flag-parsers.ts'
import { type Column, type ListFlags, renderList } from './listing.ts'
import { filtersOf, withTrunc } from './lists.ts'

const longestDescription = 45

const columns = (noTrunc: boolean): Column<SearchResult>[] => [
  { name: 'Name', head: 'NAME', text: ({ name }) => name },
  {
    name: 'Description',
    head: 'DESCRIPTION',
    text: ({ description }) => {
      const line = description.replaceAll(/[\n\r]/g, ' ')
      const letters = [...line]
      if (noTrunc || letters.length <= longestDescription) return line
      return `${letters.slice(0, longestDescription - 1).join('')}…`
    },
  },
  { name: 'StarCount', head: 'STARS', text: ({ star_count }) => String(star_count) },
  { name: 'IsOfficial', head: 'OFFICIAL', text: ({ is_official }) => (is_official ? '[OK]' : '') },
  { name: 'IsAutomated', head: 'AUTOMATED', text: ({ is_automated }) => (is_automated ? '[OK]' : '') },
]

type SearchFlags = ListFlags & { filter: string[]; limit?: number }

async function search(client: ApiClient, term: string, flags: SearchFlags): Promise<string> {
  const query = { term, limit: flags.limit, filters: filtersOf(flags.filter) }
  const found = await client.json<SearchResult[]>('GET', '/images/search', { query })
  return renderList(
    found,
    columns(flags.noTrunc === true),
    ['Name', 'Description', 'StarCount', 'IsOfficial'],
    'Name',
    flags,
  )
}

export function addSearch(program: Command, client: () => ApiClient): void {
  program
    .command('search')
    .description('Repositories of Docker Hub, or with host/term of another index')
    .option('-f, --filter <filter>', 'is-official=true, stars=3', flagParsers.collect, [])
    .option('--format <template>', "'table', 'json', or a Go template")
    .option('--limit <n>', 'at most', flagParsers.integer)
    .option('--no-trunc', 'whole values')
    .argument('<term>')
    .action(async (term: string, flags) => void process.stdout.write(await search(client(), term, withTrunc(flags))))
}
