/** The Docker Engine API 1.51, continued: images, networks, volumes and the daemon itself. */
import type { ContainerConfig, ContainerSummary, EndpointSettings } from './docker.ts'

/** `GET /images/json` */
export type ImageSummary = {
  Id: string
  ParentId: string
  RepoTags: string[]
  RepoDigests: string[]
  /** Seconds since the epoch. */
  Created: number
  Size: number
  /** -1: not counted. */
  SharedSize: number
  /** -1: not counted. */
  Containers: number
  Labels: Record<string, string> | null
  Manifests?: ImageManifest[]
}

export type Descriptor = { mediaType: string; digest: string; size: number }
export type Platform = { architecture: string; os: string; variant?: string }

/** Of an image or a list of them, with `manifests=1`. Sizes in bytes. */
export type ImageManifest = {
  ID: string
  Descriptor: Descriptor
  Available: boolean
  Size: { Content: number; Total: number }
  Kind: 'image'
  ImageData: { Platform: Platform; Containers: string[]; Size: { Unpacked: number } }
}

/** `GET /distribution/{name}/json` */
export type DistributionInspect = { Descriptor: Descriptor; Platforms: Platform[] }

/** `GET /images/{name}/json` */
export type ImageInspect = {
  Id: string
  RepoTags: string[]
  RepoDigests: string[]
  Parent: string
  Comment: string
  Created: string
  Author: string
  Config: ContainerConfig
  Architecture: string
  Variant?: string
  Os: string
  Size: number
  GraphDriver: { Name: string; Data: Record<string, string> | null }
  RootFS: { Type: string; Layers?: string[] }
  Metadata: { LastTagTime: string }
  DockerVersion: string
  Manifests?: ImageManifest[]
}

export type HistoryEntry = {
  Id: string
  Created: number
  CreatedBy: string
  Tags: string[] | null
  Size: number
  Comment: string
}
export type DeletedImage = { Untagged: string } | { Deleted: string }
export type PruneImagesAnswer = { ImagesDeleted: DeletedImage[] | null; SpaceReclaimed: number }
export type CommitAnswer = { Id: string }

export type IpamConfig = {
  Subnet?: string
  IPRange?: string
  Gateway?: string
  AuxiliaryAddresses?: Record<string, string>
}

/** `GET /networks`, `GET /networks/{id}` */
export type Network = {
  Name: string
  Id: string
  Created: string
  Scope: string
  Driver: string
  EnableIPv4: boolean
  EnableIPv6: boolean
  IPAM: { Driver: string; Options: Record<string, string> | null; Config: IpamConfig[] }
  Internal: boolean
  Attachable: boolean
  Ingress: boolean
  ConfigFrom: { Network: string }
  ConfigOnly: boolean
  Containers: Record<
    string,
    { Name: string; EndpointID: string; MacAddress: string; IPv4Address: string; IPv6Address: string }
  >
  Options: Record<string, string>
  Labels: Record<string, string>
}

export type CreateNetworkRequest = {
  Name: string
  Driver?: string
  Scope?: string
  Internal?: boolean
  Attachable?: boolean
  EnableIPv4?: boolean
  EnableIPv6?: boolean
  IPAM?: { Driver?: string; Options?: Record<string, string> | null; Config?: IpamConfig[] | null } | null
  Options?: Record<string, string> | null
  Labels?: Record<string, string> | null
}
export type CreateNetworkAnswer = { Id: string; Warning: string }
export type ConnectNetworkRequest = { Container: string; EndpointConfig?: Partial<EndpointSettings> | null }
export type DisconnectNetworkRequest = { Container: string; Force?: boolean }
export type PruneNetworksAnswer = { NetworksDeleted: string[] | null }

/** `GET /volumes/{name}` */
export type Volume = {
  CreatedAt: string
  Driver: string
  Labels: Record<string, string> | null
  Mountpoint: string
  Name: string
  Options: Record<string, string> | null
  Scope: string
  /** Only in `/system/df`. */
  UsageData?: { Size: number; RefCount: number }
}
export type VolumeList = { Volumes: Volume[]; Warnings: string[] | null }
export type CreateVolumeRequest = {
  Name?: string
  Driver?: string
  DriverOpts?: Record<string, string> | null
  Labels?: Record<string, string> | null
}
export type PruneVolumesAnswer = { VolumesDeleted: string[] | null; SpaceReclaimed: number }

/** `GET /version` */
export type Version = {
  Platform: { Name: string }
  Components: { Name: string; Version: string; Details: Record<string, string> }[]
  Version: string
  ApiVersion: string
  MinAPIVersion: string
  GitCommit: string
  GoVersion: string
  Os: string
  Arch: string
  KernelVersion: string
  BuildTime: string
}

/** `GET /info` */
export type Info = {
  ID: string
  Containers: number
  ContainersRunning: number
  ContainersPaused: number
  ContainersStopped: number
  Images: number
  Driver: string
  DriverStatus: [string, string][]
  Plugins: { Volume: string[]; Network: string[]; Authorization: string[] | null; Log: string[] }
  MemoryLimit: boolean
  SwapLimit: boolean
  CpuCfsPeriod: boolean
  CpuCfsQuota: boolean
  CPUShares: boolean
  CPUSet: boolean
  PidsLimit: boolean
  IPv4Forwarding: boolean
  Debug: boolean
  NFd: number
  OomKillDisable: boolean
  NGoroutines: number
  SystemTime: string
  LoggingDriver: string
  CgroupDriver: string
  CgroupVersion: string
  NEventsListener: number
  KernelVersion: string
  OperatingSystem: string
  OSVersion: string
  OSType: string
  Architecture: string
  IndexServerAddress: string
  RegistryConfig: { InsecureRegistryCIDRs: string[]; IndexConfigs: Record<string, RegistryIndex>; Mirrors: string[] }
  NCPU: number
  MemTotal: number
  GenericResources: null
  DockerRootDir: string
  HttpProxy: string
  HttpsProxy: string
  NoProxy: string
  Name: string
  Labels: string[]
  ExperimentalBuild: boolean
  ServerVersion: string
  Runtimes: Record<string, { path: string }>
  DefaultRuntime: string
  Swarm: {
    NodeID: string
    NodeAddr: string
    LocalNodeState: string
    ControlAvailable: boolean
    Error: string
    RemoteManagers: null
  }
  LiveRestoreEnabled: boolean
  Isolation: string
  InitBinary: string
  ContainerdCommit: { ID: string }
  RuncCommit: { ID: string }
  InitCommit: { ID: string }
  SecurityOptions: string[]
  Warnings: string[] | null
  /** Ours: `fork` is the fast way, `process` the fallback of one Node process for each container. */
  DrydockSupervisors: 'fork' | 'process'
}
export type RegistryIndex = { Name: string; Mirrors: string[]; Secure: boolean; Official: boolean }

/** `GET /system/df` */
export type DiskUsage = {
  LayersSize: number
  Images: ImageSummary[]
  Containers: ContainerSummary[]
  Volumes: Volume[]
  BuildCache: object[]
}

export type AuthRequest = {
  username?: string
  password?: string
  email?: string
  serveraddress?: string
  identitytoken?: string
  registrytoken?: string
}
export type AuthAnswer = { Status: string; IdentityToken: string }

/** An element of `GET /images/search`. */
export type SearchResult = {
  star_count: number
  is_official: boolean
  name: string
  is_automated: boolean
  description: string
}
