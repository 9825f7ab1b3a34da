/** `pull`, `push`, `tag`, `rmi`, `load`, `save`, `import`. */
import { createReadStream, createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import type { DeletedImage } from '../api/contract/docker-store.ts'
import type { ApiClient } from './api-client.ts'
import { flagParsers } from './flag-parsers.ts'
import { awaitProgress, showProgress } from './pull-progress.ts'

/** The tag after the last slash; a digest has its own place. */
export function splitReference(reference: string): { repository: string; tag: string } {
  const at = reference.indexOf('@')
  if (at !== -1) return { repository: reference.slice(0, at), tag: reference.slice(at + 1) }
  const colon = reference.lastIndexOf(':')
  return colon > reference.lastIndexOf('/')
    ? { repository: reference.slice(0, colon), tag: reference.slice(colon + 1) }
    : { repository: reference, tag: 'latest' }
}

type PullFlags = { allTags?: boolean; platform?: string; quiet?: boolean }

async function pull(client: ApiClient, reference: string, { allTags, platform, quiet }: PullFlags): Promise<void> {
  const { repository, tag } = splitReference(reference)
  if (quiet !== true && allTags !== true && !reference.includes(':') && !reference.includes('@'))
    process.stdout.write('Using default tag: latest\n')
  const query = { fromImage: repository, tag: allTags === true ? undefined : tag, platform }
  const response = await client.open('POST', '/images/create', { query })
  if (quiet === true) await awaitProgress(response)
  else await showProgress(response, process.stdout)
  process.stdout.write(`${canonicalName(repository)}:${tag}\n`)
}

/** As the last line of a pull names it: with its registry. */
function canonicalName(repository: string): string {
  const [first, ...rest] = repository.split('/')
  if (rest.length === 0) return `docker.io/library/${repository}`
  return first!.includes('.') || first!.includes(':') || first === 'localhost' ? repository : `docker.io/${repository}`
}

const credentials = { 'X-Registry-Auth': Buffer.from('{}').toString('base64url') }

async function push(client: ApiClient, reference: string): Promise<void> {
  const { repository, tag } = splitReference(reference)
  const response = await client.open('POST', `/images/${repository}/push`, { query: { tag }, headers: credentials })
  await showProgress(response, process.stdout)
}

async function remove(
  client: ApiClient,
  names: string[],
  { force, prune }: { force?: boolean; prune: boolean },
): Promise<void> {
  for (const name of names) {
    try {
      const query = { force: force === true ? 1 : undefined, noprune: prune ? undefined : 1 }
      const deleted = await client.json<DeletedImage[]>('DELETE', `/images/${name}`, { query })
      for (const entry of deleted)
        process.stdout.write(
          'Untagged' in entry
            ? `Untagged: ${entry.Untagged}\n`
            : `Deleted: ${(entry as { Deleted: string }).Deleted}\n`,
        )
    } catch (error) {
      process.stderr.write(`${(error as Error).message}\n`)
      process.exitCode = 1
    }
  }
}

async function load(client: ApiClient, { input, quiet }: { input?: string; quiet?: boolean }): Promise<void> {
  if (input === undefined && process.stdin.isTTY) throw new Error('requested load from stdin, but stdin is empty')
  const stream = input === undefined ? process.stdin : createReadStream(input)
  const response = await client.open('POST', '/images/load', {
    query: { quiet: quiet === true ? 1 : 0 },
    stream,
    headers: { 'Content-Type': 'application/x-tar' },
  })
  await showProgress(response, process.stdout)
}

async function save(client: ApiClient, names: string[], { output }: { output?: string }): Promise<void> {
  if (output === undefined && process.stdout.isTTY)
    throw new Error('cowardly refusing to save to a terminal. Use the -o flag or redirect')
  const response = await client.open('GET', '/images/get', { query: { names } })
  await pipeline(response, output === undefined ? process.stdout : createWriteStream(output, { mode: 0o600 }))
}

async function importImage(
  client: ApiClient,
  file: string,
  reference: string | undefined,
  flags: { change: string[]; message?: string; platform?: string },
): Promise<void> {
  const remote = /^https?:\/\//.test(file)
  const stream = file === '-' ? process.stdin : createReadStream(remote ? '/dev/null' : file)
  const { repository, tag } =
    reference === undefined ? { repository: undefined, tag: undefined } : splitReference(reference)
  const query = {
    fromSrc: remote ? file : '-',
    repo: repository,
    tag,
    changes: flags.change,
    message: flags.message,
    platform: flags.platform,
  }
  const response = await client.open('POST', '/images/create', {
    query,
    stream,
    headers: { 'Content-Type': 'application/x-tar' },
  })
  await showProgress(response, process.stdout)
}

/** @param removal `rmi`, or `rm` where the group says that it is images */
export function addImageVerbs(program: Command, client: () => ApiClient, removal: 'rmi' | 'rm' = 'rmi'): void {
  addRegistryVerbs(program, client)
  addStoreVerbs(program, client, removal)
  addArchiveVerbs(program, client)
}

function addRegistryVerbs(program: Command, client: () => ApiClient): void {
  program
    .command('pull')
    .description('Download an image')
    .option('-a, --all-tags', 'all tags of the repository')
    .option('--platform <platform>', 'os/arch[/variant]')
    .option('-q, --quiet', 'no progress')
    .argument('<image>')
    .action((reference: string, flags: PullFlags) => pull(client(), reference, flags))
  program
    .command('push')
    .description('Upload an image')
    .argument('<image>')
    .action((reference: string) => push(client(), reference))
}

function addStoreVerbs(program: Command, client: () => ApiClient, removal: 'rmi' | 'rm'): void {
  program
    .command('tag')
    .description('Give an image a further name')
    .argument('<image>')
    .argument('<name>')
    .action(async (image: string, name: string) => {
      const { repository, tag } = splitReference(name)
      await client().send('POST', `/images/${image}/tag`, { query: { repo: repository, tag } })
    })
  program
    .command(removal)
    .description('Remove images')
    .option('-f, --force', 'also when a stopped container uses it')
    .option('--no-prune', 'keep untagged parents')
    .argument('<image...>')
    .action((names: string[], flags: { force?: boolean; prune: boolean }) => remove(client(), names, flags))
}

function addArchiveVerbs(program: Command, client: () => ApiClient): void {
  program
    .command('load')
    .description('Load images from an archive')
    .option('-i, --input <file>', 'instead of stdin')
    .option('-q, --quiet', 'no progress')
    .action((flags: { input?: string; quiet?: boolean }) => load(client(), flags))
  program
    .command('save')
    .description('Save images to an archive')
    .option('-o, --output <file>', 'instead of stdout')
    .argument('<image...>')
    .action((names: string[], flags: { output?: string }) => save(client(), names, flags))
  program
    .command('import')
    .description('Make an image of a file system archive')
    .option('-c, --change <instruction>', 'a Dockerfile instruction', flagParsers.collect, [])
    .option('-m, --message <text>', 'for the history')
    .option('--platform <platform>', 'os/arch[/variant]')
    .argument('<file>')
    .argument('[name]')
    .action((file: string, name: string | undefined, flags: { change: string[]; message?: string }) =>
      importImage(client(), file, name, flags),
    )
}
