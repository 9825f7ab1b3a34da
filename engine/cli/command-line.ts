/** Docker's command line over the API: registers every verb. */
import type { Command } from 'commander'
import { ApiClient } from './api-client.ts'
import { acceptBooleanValues } from './boolean-values.ts'
import { addContainerVerbs } from './container-verbs.ts'
import { addExecCommand } from './exec.ts'
import { addGroups } from './groups.ts'
import { addImageVerbs } from './image-verbs.ts'
import { addInspectCommands } from './inspect.ts'
import { addHistory, addLayerVerbs } from './layer-verbs.ts'
import { addImages, addPs } from './lists.ts'
import { addNetworkVerbs } from './network-verbs.ts'
import { addRunCommands } from './run.ts'
import { addSearch } from './search.ts'
import { addStats } from './stats.ts'
import { addVolumeVerbs } from './volume-verbs.ts'

/** From `--host`, else DOCKER_HOST, else the default; only unix sockets. */
export function socketOf(host: string | undefined, fallback: string): string {
  if (host === undefined || host === '') return fallback
  if (!host.startsWith('unix://'))
    throw new Error(`unable to reach ${JSON.stringify(host)}: only unix:// addresses are supported`)
  return host.slice('unix://'.length)
}

/** Whoever reads our output may have seen enough: `drydock ps | head -1`. SIGPIPE's own exit code. */
function endQuietly(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(141)
    throw error
  })
}

export function addClientCommands(program: Command, fallbackSocket: string): void {
  program.option('-H, --host <address>', 'unix:///path of the engine')
  const client = (): ApiClient =>
    new ApiClient(socketOf(program.opts<{ host?: string }>().host ?? process.env.DOCKER_HOST, fallbackSocket))
  for (const add of [
    addRunCommands,
    addExecCommand,
    addContainerVerbs,
    addImageVerbs,
    addInspectCommands,
    addLayerVerbs,
    addHistory,
    addNetworkVerbs,
    addVolumeVerbs,
    addSearch,
    addStats,
    addGroups,
  ])
    add(program, client)
  addPs(program.command('ps'), client)
  addImages(program.command('images'), client)
  acceptBooleanValues(program)
  endQuietly()
}
