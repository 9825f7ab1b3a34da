/** What every verb is given: the layers below, the containers, and what lives only as long as the daemon does. */
import { join } from 'node:path'
import type { Database } from '../base/database.ts'
import type { CgroupHost } from '../cgroup/cgroup.ts'
import type { Images } from '../images/image.ts'
import type { Networks } from '../network/network.ts'
import type { Shim, Supervisors } from '../shim/shim.ts'
import type { Snapshotter } from '../snapshots/snapshotter.ts'
import type { IdMaps } from '../spec/id-maps.ts'
import type { Span } from '../trace/trace.ts'
import type { Volumes } from '../volumes/volume.ts'
import type { Container } from './container.ts'
import { ContainerTable } from './container-table.ts'
import type { AttachOptions } from './containers.ts'
import type { EventJournal } from './events.ts'
import { ExecBook } from './exec-book.ts'
import { KeyedLock } from './keyed-lock.ts'
import type { LateStream } from './late-stream.ts'
import { Waiters } from './waiters.ts'

export type Dependencies = {
  database: Database
  images: Images
  snapshotter: Snapshotter
  networks: Networks
  volumes: Volumes
  supervisors: Supervisors
  cgroups: CgroupHost
  /** Containers are in user namespaces with these maps; absent: in the machine's. */
  idMaps?: IdMaps
  /** The group that containers' own are in where nobody asked for another. */
  cgroupParent: string
  events: EventJournal
  /** State that outlives a reboot: `containers/ID/` below it. */
  root: string
  /** State of this boot: bundles and sockets, `containers/ID/` below it. */
  execRoot: string
  /** Told of what failed where nobody waits for an answer: a cleanup, a restart. */
  report: (problem: string) => void
}

export type PendingAttachment = { stream: LateStream; options: AttachOptions }

export type Engine = Dependencies & {
  readonly table: ContainerTable
  readonly lock: KeyedLock
  readonly waiters: Waiters
  readonly execs: ExecBook
  /** Of containers that have a process. */
  readonly shims: Map<string, Shim>
  /** Attached before the start. */
  readonly attachments: Map<string, Set<PendingAttachment>>
  /** Called when a restart policy's wait is over (restart.ts): here, because what schedules it stands below it. */
  readonly startAgain: (id: string) => Promise<void>
  /** Starts on their way; aborting one ends it. */
  readonly starting: Map<string, AbortController>
  /** Restarts that wait for their time, and how long they wait (ms). */
  readonly restarts: Map<string, { timer?: NodeJS.Timeout; delay: number }>
  /** A user asked for its end: no restart policy. */
  readonly stopping: Set<string>
  readonly removing: Set<string>
  /** The `restart` verb is between its stop and its start: no AutoRemove, no restart policy. */
  readonly restarting: Set<string>
  /** Spans of the last start. */
  readonly traces: Map<string, Span[]>
  /** Resolves when the exit of a container's present process has been dealt with. */
  readonly exits: Map<string, Promise<void>>
  /** Containers whose health is probed; aborting ends it. */
  readonly healthWatches: Map<string, AbortController>
  /** The daemon is going: exits are left to the next one. */
  closing: boolean
}

export const createEngine = (dependencies: Dependencies, startAgain: Engine['startAgain']): Engine => ({
  ...dependencies,
  startAgain,
  table: new ContainerTable(dependencies.database),
  lock: new KeyedLock(),
  waiters: new Waiters(),
  execs: new ExecBook(),
  shims: new Map(),
  attachments: new Map(),
  starting: new Map(),
  restarts: new Map(),
  stopping: new Set(),
  removing: new Set(),
  restarting: new Set(),
  traces: new Map(),
  exits: new Map(),
  healthWatches: new Map(),
  closing: false,
})

/** Log, names files: kept across a reboot. */
export const stateDirectory = (engine: Pick<Engine, 'root'>, id: string): string => join(engine.root, 'containers', id)

/** The OCI bundle and what the shim keeps. */
export const bundleDirectory = (engine: Pick<Engine, 'execRoot'>, id: string): string =>
  join(engine.execRoot, 'containers', id)

/** As in OCI's cgroupsPath. */
export const cgroupPath = (
  { cgroupParent }: Pick<Engine, 'cgroupParent'>,
  container: Pick<Container, 'id' | 'hostConfig'>,
): string => {
  // A relative parent is one below the hierarchy's root, as dockerd's cgroupfs driver has it.
  const parent = (container.hostConfig.CgroupParent ?? '').split('/').filter((part) => part !== '' && part !== '.')
  return `${parent.length === 0 ? cgroupParent : `/${parent.join('/')}`}/${container.id}`
}

/** Wire fact 87. */
export const announce = (
  engine: Engine,
  container: Container,
  action: string,
  attributes: Record<string, string> = {},
): void =>
  engine.events.emit('container', action, container.id, {
    ...container.config.Labels,
    ...attributes,
    image: container.config.Image,
    name: container.name,
  })
