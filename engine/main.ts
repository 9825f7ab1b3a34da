/**
 * The composition root: the one file that knows every layer. `drydock engine` is the daemon; the other verbs are the
 * command line's.
 */

import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Engine } from './api/engine.ts'
import { lockRoot } from './api/root-lock.ts'
import { routes } from './api/routes.ts'
import { ApiServer } from './api/server.ts'
import { inheritedSocket, listenOn } from './api/socket-file.ts'
import { whenAtRest } from './base/at-rest.ts'
import { Database } from './base/database.ts'
import { engineVersion } from './base/engine-version.ts'
import { EngineError, messageOf } from './base/errors.ts'
import { timestamp } from './base/time.ts'
import { detectCgroups } from './cgroup/detect.ts'
import { parentGroup } from './cgroup/path.ts'
import { cgroupTree } from './cgroup/tree.ts'
import { DaemonError } from './cli/api-client.ts'
import { addClientCommands } from './cli/command-line.ts'
import { setup, usualCommand, usualPlace } from './cli/setup.ts'
import { renewRuntimeImage } from './cli/setup-image.ts'
import { ownSource } from './cli/setup-place.ts'
import { ContentStore } from './images/content-store.ts'
import { refreshHostImage } from './images/host-image.ts'
import { ImageStore } from './images/image-store.ts'
import { imageSchema } from './images/image-table.ts'
import { collectRarely, returnUnusedMemory } from './kernel/memory.ffi.ts'
import { listNamespaces } from './kernel/namespace-list.ts'
import { ContainerService } from './lifecycle/container-service.ts'
import { ContainerTable, containerSchema } from './lifecycle/container-table.ts'
import { bundleDirectory, cgroupPath } from './lifecycle/engine.ts'
import { EventJournal } from './lifecycle/events.ts'
import { readSubordinateIds } from './lifecycle/remap-files.ts'
import { ContainerNetworks } from './network/container-networks.ts'
import { networkSchema } from './network/network-schema.ts'
import { ShimClient } from './shim/shim-client.ts'
import { startSupervisors } from './shim/spawner-client.ts'
import { OverlaySnapshotter, snapshotSchema } from './snapshots/overlay-snapshotter.ts'
import { LocalVolumes, volumeSchema } from './volumes/local-volumes.ts'

type DaemonOptions = {
  root: string
  execRoot: string
  socket: string
  user: number
  group: number
  clientMounts: 'own' | 'any'
  registryMirror: string[]
  insecureRegistry: string[]
  usernsRemap?: string
}

const databaseName = 'engine.db'
const schemas = [snapshotSchema, imageSchema, networkSchema, volumeSchema, containerSchema]

/** Milliseconds of rest after which the daemon gives back what it does not need for resting. */
const restful = 4000
const usualSocket = '/run/drydock/docker.sock'

const report = (problem: string): void => console.error(`drydock: ${problem}`)

/** The same for as long as the root is. */
function engineId(root: string): string {
  const path = join(root, 'engine-id')
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    const id = randomUUID()
    writeFileSync(`${path}.new`, `${id}\n`, { flush: true })
    renameSync(`${path}.new`, path)
    return id
  }
}

/** Layers, lowest first. What is acquired goes to `stack`, which gives it back in reverse when the daemon ends. */
async function compose(options: DaemonOptions, stack: AsyncDisposableStack): Promise<Engine> {
  const { root, execRoot } = options
  const registry = { mirrors: options.registryMirror, insecure: options.insecureRegistry }
  stack.use(lockRoot(root))
  const idMaps = options.usernsRemap === undefined ? {} : { idMaps: readSubordinateIds(options.usernsRemap) }
  mkdirSync(execRoot, { recursive: true, mode: 0o711 })
  const supervisors = await startSupervisors(spawnerProgram())
  stack.defer(() => supervisors.close())
  const database = stack.use(new Database(join(root, databaseName), schemas))
  const cgroups = detectCgroups()
  const events = new EventJournal()
  const snapshotter = new OverlaySnapshotter(database, root)
  await snapshotter.recover()
  const images = stack.use(
    new ImageStore({
      database,
      content: new ContentStore(join(root, 'blobs')),
      snapshotter,
      registry,
      usedBy: (imageId) => imageUses(containers, imageId),
      onEvent: (action, id, attributes) => events.emit('image', action, id, attributes),
    }),
  )
  const volumes = new LocalVolumes(database, root)
  const networks = new ContainerNetworks({ database, execRoot, instance: instanceOf(root) })
  stack.defer(() => networks.close())
  const cgroupParent = parentGroup(instanceOf(root))
  const layers = { database, images, snapshotter, networks, volumes, supervisors, cgroups, cgroupParent, events }
  const containers: ContainerService = new ContainerService({ ...layers, ...idMaps, root, execRoot, report })
  stack.defer(() => containers.close())
  await images.recover()
  await refreshHostImage(images.depot, { machine: '/', store: root })
  for (const problem of await networks.recover(await containers.liveContainers())) report(problem)
  await containers.recover()
  await images.removeOldHosts()
  return {
    ...layers,
    containers,
    trace: (id) => containers.traceOf(id),
    namespaces: listNamespaces,
    cgroupTree: () => cgroupTree(cgroups, layers.cgroupParent),
    root,
    registry,
    clientMounts: options.clientMounts,
    ...idMaps,
    id: engineId(root),
    startedAt: timestamp(),
  }
}

const usualRoot = '/var/lib/drydock'

/** Engines on other roots get links, packet filter rules and control groups of their own beside the machine's. */
const instanceOf = (root: string): string => (root === usualRoot ? '' : root)

/** Source files run as they are; in the bundle, the spawner lies beside this. */
function spawnerProgram(): { program: string; node: string } {
  const place = import.meta.url.endsWith('.ts') ? './shim/spawner.ts' : './spawner.js'
  return { program: fileURLToPath(new URL(place, import.meta.url)), node: process.execPath }
}

const imageUses = (containers: ContainerService, imageId: string) =>
  containers
    .list()
    .filter((container) => container.imageId === imageId)
    .map(({ id, run, config }) => ({
      containerId: id,
      running: run.pid !== 0,
      reference: config.Image,
    }))

const stopSignal = (): Promise<string> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  })

/** Runs until SIGTERM or SIGINT. Containers go on without it, and the next one finds them again. */
async function daemon(options: DaemonOptions): Promise<void> {
  // State is what the disk says: a failure that nobody waited for costs one request, not the daemon.
  process.on('unhandledRejection', (reason) => report(`unexpected: ${messageOf(reason)}`))
  const stopped = stopSignal()
  await using stack = new AsyncDisposableStack()
  const engine = await compose(options, stack)
  const server = new ApiServer(engine, routes)
  const inherited = inheritedSocket()
  if (inherited !== undefined) server.http.listen({ fd: inherited })
  else stack.use(await listenOn(server.http, options.socket, { uid: options.user, gid: options.group }))
  stack.defer(() => server.close())
  console.log(`drydock engine listening on unix://${options.socket}`)
  void renewRuntimeImage(dirname(fileURLToPath(import.meta.url))).then((without) => {
    if (without !== undefined) report(`drydock-runtime starts slower than it could: ${without}`)
  })
  collectRarely()
  stack.use(whenAtRest(restful, returnUnusedMemory))
  await stopped
}

/** Containers, links, rules and control groups of the engine with these directories; its daemon does not run any more. */
async function removeFromMachine({ root, execRoot }: { root: string; execRoot: string }): Promise<void> {
  const path = join(root, databaseName)
  if (!existsSync(path)) return
  using _lock = lockRoot(root)
  using database = new Database(path, schemas)
  const cgroups = detectCgroups()
  const cgroupParent = parentGroup(instanceOf(root))
  for (const container of new ContainerTable(database).list()) {
    const group = cgroups.group(cgroupPath({ cgroupParent }, container))
    const shim = await ShimClient.connect(bundleDirectory({ execRoot }, container.id)).catch(() => undefined)
    try {
      group.kill(5000)
      // A supervisor whose daemon was killed early has no process, whose end it could tell.
      if (shim !== undefined && shim.containerPid !== 0) await shim.exited
    } finally {
      await shim?.release()
    }
    group.remove()
  }
  cgroups.group(cgroupParent).remove()
  await new ContainerNetworks({ database, execRoot, instance: instanceOf(root) }).destroy()
}

async function setupVerb(words: string[]): Promise<void> {
  process.exitCode = await setup(words, {
    place: usualPlace,
    command: usualCommand,
    source: () => ownSource(engineVersion),
    removeFromMachine,
    say: (line) => console.log(line),
  })
}

/**
 * Where this is no installed engine, whose launcher goes there at once: as kernel/launcher.ts does it, less the mount that
 * keeps Node from being overwritten, since here it is the file of whoever calls.
 */
async function becomeRuntime(words: string[]): Promise<void> {
  const [{ execve }, { forkingNode }] = await Promise.all([
    import('./kernel/process.ffi.ts'),
    import('./kernel/launcher.ts'),
  ])
  const script = fileURLToPath(new URL('runtime.cjs', import.meta.url))
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_'))
  execve(
    process.execPath,
    [...forkingNode, script, 'drydock runtime', '0', ...words],
    environment.map(([name, value]) => `${name}=${value}`),
  )
}

const idNumber = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a number is needed, as id(1) tells it')
  return Number(text)
}

const path = (text: string): string => {
  if (!text.startsWith('/')) throw new InvalidArgumentError('an absolute path is needed')
  return text
}

const another = (text: string, previous: string[]): string[] => [...previous, text]

const mirror = (text: string, previous: string[]): string[] => {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text))
    throw new InvalidArgumentError('an http:// or https:// address is needed')
  return another(text, previous)
}

function commandLine(): Command {
  // Options behind a verb's arguments belong to the container, or to the runtime: `run image ls -l`.
  const program = new Command('drydock').version(engineVersion).enablePositionalOptions()
  program
    .command('engine')
    .alias('daemon')
    .description('the engine itself, until SIGTERM; containers go on without it')
    .option('--root <path>', 'what outlives a reboot', path, usualRoot)
    .option('--exec-root <path>', 'what belongs to this boot', path, '/run/drydock')
    .option('--socket <path>', 'where clients connect', path, usualSocket)
    .option('--user <uid>', 'whom the socket belongs to', idNumber, 0)
    .option('--group <gid>', 'whose members may use the socket, too', idNumber, 0)
    .addOption(
      new Option('--client-mounts <which>', 'what clients other than root may mount of this machine')
        .choices(['own', 'any'])
        .default('own', 'own: what they may read themselves'),
    )
    .option('--registry-mirror <url>', 'asked before Docker Hub; may be given again', mirror, [])
    .option('--userns-remap <who>', 'containers in user namespaces: default, user[:group] or uid[:gid]')
    .option('--insecure-registry <host>', 'plain HTTP and any certificate will do; may be given again', another, [])
    .action(async (options: DaemonOptions) => {
      await daemon(options)
      // Connections to supervisors are still open, and would keep this process: theirs is to go on, ours to end.
      process.exit(0)
    })
  program
    .command('setup')
    .description('install, start, stop or remove the engine of this machine')
    .argument('[words...]')
    .allowUnknownOption()
    .action(setupVerb)
  program
    .command('runtime')
    .description('the OCI runtime: the command line of runc, for podman, containerd and others')
    .argument('[words...]')
    .allowUnknownOption()
    .helpOption(false)
    .passThroughOptions()
    .action(becomeRuntime)
  addClientCommands(program, usualSocket)
  return program
}

try {
  await commandLine().parseAsync()
} catch (error) {
  // What was meant for the user is a plain error or one of ours; any other is a mistake of this program.
  const told = error instanceof EngineError || error instanceof DaemonError || (error as Error).constructor === Error
  report(told ? messageOf(error) : ((error as Error).stack ?? messageOf(error)))
  process.exitCode = 1
}
