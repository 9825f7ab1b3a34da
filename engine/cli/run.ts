/** `run`, `create`, `start -a`, `attach`: a container in the foreground. The order of calls is wire fact 39. */
import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { ContainerInspect, CreateContainerAnswer, WaitAnswer } from '../api/contract/docker.ts'
import { type ApiClient, containerPath, DaemonError, textOf } from './api-client.ts'
import { addCreateFlags, type CreateFlags } from './create-flags.ts'
import { createRequest } from './create-request.ts'
import { awaitProgress, showProgress } from './pull-progress.ts'
import { checkTerminal, forwardSignals, runSession, windowSize } from './session.ts'

/** `docker run`'s own exit codes: the daemon failed, or the command could not be run, or was not there. */
function startFailureCode(message: string): number {
  if (/executable file not found|no such file or directory|not found/i.test(message)) return 127
  if (/permission denied|is a directory/i.test(message)) return 126
  return 125
}

async function pull(client: ApiClient, image: string, flags: CreateFlags): Promise<void> {
  const query = { fromImage: image, ...(/[:@][^/]*$/.test(image) ? {} : { tag: 'latest' }), platform: flags.platform }
  const response = await client.open('POST', '/images/create', { query })
  if (flags.quiet === true) await awaitProgress(response)
  else await showProgress(response, process.stderr)
}

async function create(
  client: ApiClient,
  image: string,
  command: string[],
  flags: CreateFlags,
): Promise<CreateContainerAnswer> {
  const query = { name: flags.name, platform: flags.platform }
  const body = createRequest(image, command, flags, flags.tty === true ? windowSize() : undefined)
  const attempt = () => client.json<CreateContainerAnswer>('POST', '/containers/create', { query, body })
  if (flags.pull === 'always') await pull(client, image, flags)
  try {
    return await attempt()
  } catch (error) {
    if (
      !(error instanceof DaemonError) ||
      error.status !== 404 ||
      flags.pull !== 'missing' ||
      !/No such image/i.test(error.message)
    )
      throw error
    process.stderr.write(`Unable to find image '${image}' locally\n`)
    await pull(client, image, flags)
    return attempt()
  }
}

async function createAndTell(client: ApiClient, image: string, command: string[], flags: CreateFlags): Promise<string> {
  const { Id, Warnings } = await create(client, image, command, flags)
  for (const warning of Warnings) process.stderr.write(`WARNING: ${warning}\n`)
  if (flags.cidfile !== undefined) writeFileSync(flags.cidfile, Id, { flag: 'wx' })
  return Id
}

type Foreground = {
  id: string
  stdin: boolean
  terminal: boolean
  removed: boolean
  sigProxy: boolean
  detachKeys: string | undefined
  streams?: readonly string[]
}

/** Attached before the wait, and both before the start: nothing of a short life is missed. */
async function startInForeground(client: ApiClient, options: Foreground): Promise<number> {
  const { id, stdin, terminal } = options
  const wants = (stream: string) =>
    options.streams === undefined || options.streams.length === 0 || options.streams.includes(stream)
  const query = {
    stream: 1,
    stdin: stdin ? 1 : 0,
    stdout: wants('stdout') ? 1 : 0,
    stderr: wants('stderr') ? 1 : 0,
    detachKeys: options.detachKeys,
  }
  using _signals =
    options.sigProxy && !terminal
      ? forwardSignals((signal) => client.send('POST', containerPath(id, '/kill'), { query: { signal } }))
      : undefined
  const { socket, framed } = await client.hijack(containerPath(id, '/attach'), { query })
  const waiting = await client.open('POST', containerPath(id, '/wait'), {
    query: { condition: options.removed ? 'removed' : 'next-exit' },
  })
  try {
    await client.send('POST', containerPath(id, '/start'))
  } catch (error) {
    socket.destroy()
    waiting.destroy()
    process.stderr.write(`drydock: ${(error as Error).message}\n`)
    return startFailureCode((error as Error).message)
  }
  const resize = ([h, w]: [number, number]) => client.send('POST', containerPath(id, '/resize'), { query: { h, w } })
  const exit = textOf(waiting).then((text) => JSON.parse(text) as WaitAnswer)
  await runSession({ socket, framed, stdin, terminal, resize })
  return statusAfterStream(client, id, exit)
}

/** The stream also ends when the user detaches; then the container goes on, and so does nobody here. */
async function statusAfterStream(client: ApiClient, id: string, exit: Promise<WaitAnswer>): Promise<number> {
  const patience = new Promise<undefined>((resolve) => setTimeout(resolve, 500, undefined).unref())
  const soon = await Promise.race([exit, patience])
  if (soon !== undefined) return reportWait(soon)
  const running = await client.json<ContainerInspect>('GET', containerPath(id, '/json')).then(
    ({ State }) => State.Running,
    () => false,
  )
  return running ? 0 : reportWait(await exit)
}

function reportWait({ StatusCode, Error: error }: WaitAnswer): number {
  if (error !== undefined && error.Message !== '') process.stderr.write(`drydock: ${error.Message}\n`)
  return StatusCode
}

async function run(client: ApiClient, image: string, command: string[], flags: CreateFlags): Promise<number> {
  const { tty: terminal = false, interactive: stdin = false, rm: removed = false, sigProxy, detachKeys } = flags
  if (flags.detach !== true) checkTerminal({ stdin, terminal })
  let id: string
  try {
    id = await createAndTell(client, image, command, flags)
  } catch (error) {
    process.stderr.write(`drydock: ${(error as Error).message}\n`)
    return 125
  }
  if (flags.detach === true) {
    try {
      await client.send('POST', containerPath(id, '/start'))
    } catch (error) {
      process.stderr.write(`drydock: ${(error as Error).message}\n`)
      return startFailureCode((error as Error).message)
    }
    process.stdout.write(`${id}\n`)
    return 0
  }
  return startInForeground(client, { id, stdin, terminal, removed, sigProxy, detachKeys, streams: flags.attach })
}

async function start(
  client: ApiClient,
  names: string[],
  flags: { attach?: boolean; interactive?: boolean; detachKeys?: string },
): Promise<number> {
  if (flags.attach !== true && flags.interactive !== true) {
    for (const name of names) {
      await client.send('POST', containerPath(name, '/start'))
      process.stdout.write(`${name}\n`)
    }
    return 0
  }
  if (names.length !== 1) throw new Error('you cannot start and attach multiple containers at once')
  const { Id, Config } = await client.json<ContainerInspect>('GET', containerPath(names[0]!, '/json'))
  const stdin = flags.interactive === true && Config.OpenStdin === true
  return startInForeground(client, {
    id: Id,
    stdin,
    terminal: Config.Tty === true,
    removed: false,
    sigProxy: true,
    detachKeys: flags.detachKeys,
  })
}

async function attach(
  client: ApiClient,
  name: string,
  flags: { stdin: boolean; sigProxy: boolean; detachKeys?: string },
): Promise<number> {
  const { Id: id, Config, State } = await client.json<ContainerInspect>('GET', containerPath(name, '/json'))
  if (!State.Running) throw new Error('You cannot attach to a stopped container, start it first')
  if (State.Paused) throw new Error('You cannot attach to a paused container, unpause it first')
  const stdin = flags.stdin && Config.OpenStdin === true
  const terminal = Config.Tty === true
  using _signals =
    flags.sigProxy && !terminal
      ? forwardSignals((signal) => client.send('POST', containerPath(id, '/kill'), { query: { signal } }))
      : undefined
  const query = { stream: 1, stdin: stdin ? 1 : 0, stdout: 1, stderr: 1, detachKeys: flags.detachKeys }
  const waiting = await client.open('POST', containerPath(id, '/wait'), { query: { condition: 'not-running' } })
  const { socket, framed } = await client.hijack(containerPath(id, '/attach'), { query })
  const exit = textOf(waiting).then((text) => JSON.parse(text) as WaitAnswer)
  const resize = ([h, w]: [number, number]) => client.send('POST', containerPath(id, '/resize'), { query: { h, w } })
  await runSession({ socket, framed, stdin, terminal, resize })
  return statusAfterStream(client, id, exit)
}

/** Each action's number is the process's exit code. */
export function addRunCommands(program: Command, client: () => ApiClient): void {
  const exitWith = (code: number): void => {
    process.exitCode = code
  }
  addCreateFlags(program.command('run').description('Create and run a new container from an image'))
    .option('-d, --detach', 'in the background')
    .option('--no-sig-proxy', 'keep signals to ourselves')
    .action(async (image: string, command: string[], flags: CreateFlags & { net: string[] }) =>
      exitWith(await run(client(), image, command, { ...flags, network: [...flags.network, ...flags.net] })),
    )
  addCreateFlags(program.command('create').description('Create a new container')).action(
    async (image: string, command: string[], flags: CreateFlags & { net: string[] }) => {
      const network = [...flags.network, ...flags.net]
      process.stdout.write(`${await createAndTell(client(), image, command, { ...flags, network })}\n`)
    },
  )
  program
    .command('start')
    .description('Start stopped containers')
    .option('-a, --attach', 'attach the output')
    .option('-i, --interactive', 'attach the input')
    .option('--detach-keys <keys>', 'key sequence that detaches')
    .argument('<container...>')
    .action(async (names: string[], flags: { attach?: boolean; interactive?: boolean }) =>
      exitWith(await start(client(), names, flags)),
    )
  program
    .command('attach')
    .description('Attach to a running container')
    .option('--no-stdin', 'output alone')
    .option('--no-sig-proxy', 'keep signals to ourselves')
    .option('--detach-keys <keys>', 'key sequence that detaches')
    .argument('<container>')
    .action(async (name: string, flags: { stdin: boolean; sigProxy: boolean }) =>
      exitWith(await attach(client(), name, flags)),
    )
}
