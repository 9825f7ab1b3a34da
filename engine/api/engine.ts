/** What handlers are given: the layers below, as their contracts. The composition root puts it together. */
import type { CgroupHost } from '../cgroup/cgroup.ts'
import type { Images } from '../images/image.ts'
import type { Containers } from '../lifecycle/containers.ts'
import type { EventJournal } from '../lifecycle/events.ts'
import type { Networks } from '../network/network.ts'
import type { Supervisors } from '../shim/shim.ts'
import type { IdMaps } from '../spec/id-maps.ts'
import type { Span } from '../trace/trace.ts'
import type { Volumes } from '../volumes/volume.ts'
import type { CgroupTree, NamespaceInfo } from './contract/drydock.ts'

export type Engine = {
  readonly containers: Containers
  readonly images: Images
  readonly networks: Networks
  readonly volumes: Volumes
  readonly events: EventJournal
  readonly cgroups: CgroupHost
  /** The group that containers' own are in where nobody asked for another. */
  readonly cgroupParent: string
  readonly supervisors: Pick<Supervisors, 'mode'>
  /** The last start of a container, step by step, to be added to; empty when this daemon has not started it. */
  readonly trace: (reference: string) => Span[]
  /** Every namespace of the machine with its members; whose container they are is added above. */
  readonly namespaces: () => KernelNamespace[]
  /** The groups of this engine, without the names of containers. */
  readonly cgroupTree: () => CgroupTree
  /** `--userns-remap`: containers are in user namespaces with these maps. */
  readonly idMaps?: IdMaps
  /** `--registry-mirror` and `--insecure-registry`. */
  readonly registry: { readonly mirrors: readonly string[]; readonly insecure: readonly string[] }
  /** `--client-mounts`: whether clients that are not root mount what they may read themselves, or anything. */
  readonly clientMounts: 'own' | 'any'
  /** `--root`. */
  readonly root: string
  /** A UUID that stays the same for one root. */
  readonly id: string
  /** RFC 3339. */
  readonly startedAt: string
}

export type KernelNamespace = Pick<NamespaceInfo, 'Type' | 'Id' | 'Host'> & {
  Members: { Pid: number; Command: string }[]
}
