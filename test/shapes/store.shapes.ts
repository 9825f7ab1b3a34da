/** Answers about images, networks, volumes and the engine; Docker Engine API 1.51. */
import * as z from 'zod'
import { config, summary } from './container.shapes.ts'
import {
  address4,
  count,
  descriptor,
  digest,
  id,
  mac,
  map,
  orNull,
  platform,
  text,
  texts,
  time,
  whole,
  yes,
} from './pieces.ts'

const manifest = z.strictObject({
  ID: digest,
  Descriptor: descriptor,
  Available: yes,
  Size: z.strictObject({ Content: count, Total: count }),
  Kind: z.enum(['image', 'attestation', 'unknown']),
  ImageData: z.strictObject({
    Platform: platform,
    Containers: z.array(id),
    Size: z.strictObject({ Unpacked: count }),
  }),
})

export const imageSummary = z.strictObject({
  Id: digest,
  ParentId: text,
  RepoTags: texts,
  RepoDigests: texts,
  Created: whole,
  Size: count,
  SharedSize: whole.min(-1),
  Labels: orNull(map),
  Containers: whole.min(-1),
  Manifests: z.array(manifest).optional(),
})

export const image = z.strictObject({
  Id: digest,
  RepoTags: texts,
  RepoDigests: texts,
  Parent: text,
  Comment: text,
  Created: time,
  DockerVersion: text,
  Author: text,
  Config: config,
  Architecture: text,
  Variant: text.optional(),
  Os: text,
  Size: count,
  GraphDriver: z.strictObject({ Name: text, Data: orNull(map) }),
  RootFS: z.strictObject({ Type: z.literal('layers'), Layers: z.array(digest).optional() }),
  Metadata: z.strictObject({ LastTagTime: time }),
  Manifests: z.array(manifest).optional(),
})

export const history = z.array(
  z.strictObject({
    Id: z.union([digest, z.literal('<missing>')]),
    Created: whole,
    CreatedBy: text,
    Tags: orNull(texts),
    Size: count,
    Comment: text,
  }),
)

const deleted = z.array(z.union([z.strictObject({ Untagged: text }), z.strictObject({ Deleted: digest })]))
export const removedImage = deleted
export const prunedImages = z.strictObject({ ImagesDeleted: orNull(deleted), SpaceReclaimed: count })
export const imageId = z.strictObject({ Id: digest })
export const distribution = z.strictObject({ Descriptor: descriptor, Platforms: z.array(platform) })
export const searchResults = z.array(
  z.strictObject({
    star_count: count,
    is_official: z.boolean(),
    name: text,
    is_automated: z.literal(false),
    description: text,
  }),
)
export const login = z.strictObject({ Status: text, IdentityToken: text })

/** A line of a pull, push, load, import. */
export const progress = z.strictObject({
  id: text.optional(),
  status: text.optional(),
  stream: text.optional(),
  progress: text.optional(),
  progressDetail: z.strictObject({ current: count.optional(), total: count.optional() }).optional(),
  aux: z.record(text, z.unknown()).optional(),
  error: text.optional(),
  errorDetail: z.strictObject({ message: text, code: whole.optional() }).optional(),
})

const member = z.strictObject({
  Name: text,
  EndpointID: id,
  MacAddress: mac,
  IPv4Address: text,
  IPv6Address: text,
})

export const network = z.strictObject({
  Name: text,
  Id: id,
  Created: time,
  Scope: z.literal('local'),
  Driver: text,
  EnableIPv4: yes,
  EnableIPv6: yes,
  IPAM: z.strictObject({
    Driver: text,
    Options: orNull(map).optional(),
    Config: orNull(
      z.array(
        z.strictObject({
          Subnet: text.optional(),
          IPRange: text.optional(),
          Gateway: text.optional(),
          AuxiliaryAddresses: map.optional(),
        }),
      ),
    ),
  }),
  Internal: yes,
  Attachable: yes,
  Ingress: yes,
  ConfigFrom: z.strictObject({ Network: text }),
  ConfigOnly: yes,
  Containers: z.record(id, member),
  Options: orNull(map),
  Labels: orNull(map),
})
export const createdNetwork = z.strictObject({ Id: id, Warning: text })
export const prunedNetworks = z.strictObject({ NetworksDeleted: orNull(texts) })

export const volume = z.strictObject({
  CreatedAt: time,
  Driver: text,
  Labels: orNull(map),
  Mountpoint: text,
  Name: text,
  Options: orNull(map),
  Scope: z.literal('local'),
  UsageData: z.strictObject({ Size: whole.min(-1), RefCount: whole.min(-1) }).optional(),
})
export const volumes = z.strictObject({ Volumes: z.array(volume), Warnings: orNull(texts) })
export const prunedVolumes = z.strictObject({ VolumesDeleted: orNull(texts), SpaceReclaimed: count })

export const diskUsage = z.strictObject({
  LayersSize: count,
  Images: z.array(imageSummary),
  Containers: z.array(summary),
  Volumes: z.array(volume),
  BuildCache: z.array(z.unknown()),
})

const component = z.strictObject({ Name: text, Version: text, Details: map })
export const version = z.strictObject({
  Platform: z.strictObject({ Name: text }),
  Components: z.array(component).min(1),
  Version: text,
  ApiVersion: z.literal('1.51'),
  MinAPIVersion: z.literal('1.22'),
  GitCommit: text,
  GoVersion: text,
  Os: z.literal('linux'),
  Arch: text,
  KernelVersion: text,
  BuildTime: text,
})

export const event = z.strictObject({
  Type: z.enum(['container', 'image', 'network', 'volume', 'daemon']),
  Action: text,
  Actor: z.strictObject({ ID: text, Attributes: map }),
  scope: z.literal('local'),
  time: count,
  timeNano: z.number(),
  status: text.optional(),
  id: text.optional(),
  from: text.optional(),
})

const commit = z.strictObject({ ID: text })
const index = z.strictObject({ Name: text, Mirrors: texts, Secure: yes, Official: yes })

export const info = z.strictObject({
  ID: text,
  Containers: count,
  ContainersRunning: count,
  ContainersPaused: count,
  ContainersStopped: count,
  Images: count,
  Driver: text,
  DriverStatus: z.array(z.tuple([text, text])),
  DockerRootDir: text,
  Plugins: z.strictObject({ Volume: texts, Network: texts, Authorization: orNull(texts), Log: texts }),
  MemoryLimit: yes,
  SwapLimit: yes,
  CpuCfsPeriod: yes,
  CpuCfsQuota: yes,
  CPUShares: yes,
  CPUSet: yes,
  PidsLimit: yes,
  OomKillDisable: yes,
  IPv4Forwarding: yes,
  Debug: yes,
  NFd: count,
  NGoroutines: count,
  SystemTime: time,
  LoggingDriver: text,
  CgroupDriver: z.enum(['cgroupfs', 'systemd', 'none']),
  CgroupVersion: z.enum(['1', '2']),
  NEventsListener: count,
  KernelVersion: text,
  OperatingSystem: text,
  OSVersion: text,
  OSType: z.literal('linux'),
  Architecture: text,
  NCPU: count,
  MemTotal: count,
  IndexServerAddress: text,
  RegistryConfig: z.strictObject({
    InsecureRegistryCIDRs: texts,
    IndexConfigs: z.record(text, index),
    Mirrors: texts,
  }),
  GenericResources: z.null(),
  HttpProxy: text,
  HttpsProxy: text,
  NoProxy: text,
  Name: text,
  Labels: texts,
  ExperimentalBuild: yes,
  ServerVersion: text,
  Runtimes: z.record(text, z.strictObject({ path: text })),
  DefaultRuntime: text,
  Swarm: z.strictObject({
    NodeID: text,
    NodeAddr: address4,
    LocalNodeState: z.literal('inactive'),
    ControlAvailable: yes,
    Error: text,
    RemoteManagers: z.null(),
  }),
  LiveRestoreEnabled: yes,
  Isolation: text,
  InitBinary: text,
  ContainerdCommit: commit,
  RuncCommit: commit,
  InitCommit: commit,
  SecurityOptions: texts,
  Warnings: orNull(texts),
  /** Ours. */
  DrydockSupervisors: z.enum(['fork', 'process']),
})
