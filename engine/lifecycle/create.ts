/** From a request to a container that can be started; a failure at any point leaves nothing; wire facts 120–127, 157–160. */
import { mkdirSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { EngineError, isKind } from '../base/errors.ts'
import { newId } from '../base/identifier.ts'
import { never, timestamp } from '../base/time.ts'
import { supportedResources } from '../cgroup/support.ts'
import type { Image } from '../images/image.ts'
import type { Credentials } from '../kernel/file-rights.ffi.ts'
import { resourcesOf } from '../spec/limits.ts'
import { record, type Span, span, withTrace } from '../trace/trace.ts'
import type { Container, ContainerConfig, EndpointSettings, HostConfig, MountPoint } from './container.ts'
import type { CreateContainer } from './containers.ts'
import { copyUp } from './copy-up.ts'
import { endpointSettings } from './endpoint-settings.ts'
import { announce, type Engine, stateDirectory } from './engine.ts'
import { checkConfig, checkHostConfig, checkPublished, completeHostConfig } from './host-config.ts'
import { commandOf, mergeImage } from './image-merge.ts'
import { writeLeftovers } from './leftovers.ts'
import { checkedLinks } from './links.ts'
import { logDriver } from './log-config.ts'
import { thisMachine } from './machine.ts'
import { checkSources, makeMountPoint, mountedImage, type NamedRequest, nameVolumes } from './mount-points.ts'
import { mountRequests } from './mount-request.ts'
import { containerName, generateName } from './names.ts'
import { checkUserNamespace } from './user-namespace.ts'
import { claimVolumes } from './volume-use.ts'

type Plan = {
  id: string
  image: Image
  config: ContainerConfig
  hostConfig: HostConfig
  networks: Record<string, EndpointSettings>
  mounts: NamedRequest[]
  client: Credentials | undefined
  path: string
  args: string[]
  warnings: string[]
}

export async function create(engine: Engine, request: CreateContainer): Promise<{ id: string; warnings: string[] }> {
  const plan = planCreation(engine, request)
  const name = request.name ? containerName(request.name) : generateName(plan.id, (one) => engine.table.nameTaken(one))
  using _name = engine.table.reserve(name, plan.id)
  // Kept for the trace of the first start: what was prepared here is part of how the container came to run.
  const spans: Span[] = []
  const container = await withTrace(spans, () => span('lifecycle', 'create', () => make(engine, plan, name)))
  engine.traces.set(plan.id, spans)
  record(...spans)
  announce(engine, container, 'create')
  return { id: plan.id, warnings: plan.warnings }
}

/** Everything that can be found wrong without changing anything. */
function planCreation(engine: Engine, request: CreateContainer): Plan {
  if (!request.config.Image) throw new EngineError('invalid', 'no image specified')
  const image = engine.images.get(request.config.Image)
  const config = mergeImage(image.config.config ?? {}, request.config)
  checkConfig(config)
  checkHostConfig(request.config, request.hostConfig)
  checkPublished(config, request.hostConfig)
  checkUserNamespace(engine, request.hostConfig)
  const hostConfig = withLinks(
    engine,
    sharedNamespaces(engine, completeHostConfig(request.hostConfig, engine.cgroups.version)),
  )
  const mounts = mountRequests(config, hostConfig, inheritedMounts(engine, hostConfig))
  checkSources(mounts, request.client)
  for (const { type, source } of mounts) if (type === 'image') mountedImage(engine, source as string)
  return {
    id: newId(),
    image,
    config: withMountedVolumes(config),
    hostConfig,
    networks: endpointSettings(engine, request.endpoints, hostConfig),
    mounts: nameVolumes(mounts),
    client: request.client,
    ...commandOf(config),
    warnings: [
      ...platformWarnings(request.platform, image),
      ...supportedResources(engine.cgroups, resourcesOf(hostConfig, thisMachine())).warnings,
    ],
  }
}

const withMountedVolumes = (config: ContainerConfig): ContainerConfig =>
  config.Entrypoint?.length === 1 && config.Entrypoint[0] === '' ? { ...config, Entrypoint: [] } : config

const withLinks = (engine: Engine, host: HostConfig): HostConfig =>
  (host.Links ?? []).length === 0 ? host : { ...host, Links: checkedLinks(engine, host) }

/** A container is named by its id from here on, so that renaming it changes nothing; wire fact 154. */
function sharedNamespaces(engine: Engine, host: HostConfig): HostConfig {
  const byId = (mode: string | undefined): string | undefined =>
    mode?.startsWith('container:') === true ? `container:${idOf(engine, mode.slice('container:'.length))}` : mode
  const [network, ipc, pid] = [host.NetworkMode, host.IpcMode, host.PidMode].map(byId)
  return {
    ...host,
    ...(network === undefined ? {} : { NetworkMode: network }),
    ...(ipc === undefined ? {} : { IpcMode: ipc }),
    ...(pid === undefined ? {} : { PidMode: pid }),
  }
}

/** Not 404 where there is none: clients take that for the image's, and pull it. */
function idOf(engine: Engine, reference: string): string {
  try {
    return engine.table.get(reference).id
  } catch (error) {
    if (!isKind(error, 'not-found')) throw error
    throw new EngineError('invalid', error.message, { cause: error })
  }
}

function inheritedMounts(engine: Engine, host: HostConfig): MountPoint[] {
  return (host.VolumesFrom ?? []).flatMap((text) => {
    const [reference = '', mode = 'rw'] = text.split(':', 2)
    if (mode !== 'ro' && mode !== 'rw' && mode !== 'z' && mode !== 'Z')
      throw new EngineError('invalid', `invalid mode: ${mode}`)
    const { mounts } = engine.table.byId(idOf(engine, reference))
    return mounts
      .filter(({ Type }) => Type === 'bind' || Type === 'volume')
      .map((mount) => ({ ...mount, RW: mount.RW && mode !== 'ro', anonymous: false }))
  })
}

function platformWarnings(platform: string | undefined, image: Image): string[] {
  if (!platform) return []
  const [os, architecture] = platform.split('/')
  const { config } = image
  if (os === config.os && (architecture === undefined || architecture === config.architecture)) return []
  return [
    `The requested image's platform (${config.os}/${config.architecture}) does not match the detected host platform (${platform}) and no specific platform was requested`,
  ]
}

/** The row is written last: until then a directory without a row says that everything of this id is to go (recover.ts). */
async function make(engine: Engine, plan: Plan, name: string): Promise<Container> {
  const { id } = plan
  const directory = stateDirectory(engine, id)
  await using undo = new AsyncDisposableStack()
  undo.defer(() => rmSync(directory, { recursive: true, force: true }))
  mkdirSync(directory, { recursive: true, mode: 0o710 })
  using _volumes = claimVolumes(
    engine,
    id,
    plan.mounts.flatMap(({ name }) => name ?? []),
  )
  const anonymous = plan.mounts.filter((mount) => mount.anonymous).map((mount) => mount.name as string)
  if (anonymous.length > 0) writeLeftovers(engine, id, anonymous)
  undo.defer(() => engine.snapshotter.remove(id))
  await span('snapshot', 'prepare', () => engine.snapshotter.prepare(id, plan.image.chainId))
  const mounts: MountPoint[] = []
  for (const request of plan.mounts) {
    if (request.anonymous) undo.defer(() => engine.volumes.remove(request.name as string, { force: true, usedBy: [] }))
    const made = await makeMountPoint(engine, id, request, plan.client)
    if (made.fill)
      await span('snapshot', `fill volume ${made.point.Name}`, () => copyUp(engine, plan.image, made.point))
    mounts.push(made.point)
  }
  const container = newContainer(plan, name, directory, mounts)
  engine.table.insert(container)
  undo.move()
  return container
}

function newContainer(plan: Plan, name: string, directory: string, mounts: MountPoint[]): Container {
  const { id, hostConfig } = plan
  const ownNames = hostConfig.NetworkMode?.startsWith('container:') !== true
  return {
    id,
    name,
    created: timestamp(),
    imageId: plan.image.id,
    config: {
      ...plan.config,
      ...(plan.config.Hostname || !ownNames ? {} : { Hostname: defaultHostname(id, hostConfig) }),
    },
    hostConfig,
    networks: plan.networks,
    endpoints: [],
    mounts,
    path: plan.path,
    args: plan.args,
    logPath: logPath(directory, id, hostConfig),
    run: {
      state: 'created',
      pid: 0,
      exitCode: 0,
      error: '',
      oomKilled: false,
      startedAt: never,
      finishedAt: never,
      restartCount: 0,
      manuallyStopped: false,
    },
    hostnamePath: join(directory, 'hostname'),
    hostsPath: join(directory, 'hosts'),
    resolvConfPath: join(directory, 'resolv.conf'),
  }
}

function logPath(directory: string, id: string, host: HostConfig): string {
  const driver = logDriver(host.LogConfig)
  if (driver === 'none') return ''
  return join(directory, driver === 'local' ? 'local.log' : `${id}-json.log`)
}

/** Wire fact 129. */
const defaultHostname = (id: string, host: HostConfig): string =>
  host.NetworkMode === 'host' || host.UTSMode === 'host' ? hostname() : id.slice(0, 12)
