/**
 * What Drydock's API has beyond Docker's, under `/drydock/`: the layers below a container, open to look at.
 * Field names follow the Docker Engine API's style. Plain types: the extension imports nothing else of the engine.
 */

export type NamespaceMember = { Pid: number; Command: string; ContainerId: string | null; ContainerName: string | null }

export type NamespaceInfo = {
  /** As in /proc/PID/ns: cgroup, ipc, mnt, net, pid, time, user, uts. */
  Type: string
  /** The inode number that names it; namespaces(7). */
  Id: number
  /** It is the one the engine itself runs in. */
  Host: boolean
  Members: NamespaceMember[]
}

/** `GET /drydock/namespaces`, and `GET /drydock/containers/{id}/namespaces` for those one container is in. */
export type NamespaceList = { Namespaces: NamespaceInfo[] }

export type CgroupNode = {
  /** Below the hierarchy's root: `/drydock/ID`. */
  Path: string
  ContainerId: string | null
  ContainerName: string | null
  Processes: number[]
  /** Bytes. */
  MemoryUsage: number | null
  /** Bytes; null is no limit. */
  MemoryLimit: number | null
  /** Processors, e.g. 1.5; null is no limit. */
  CpuLimit: number | null
  PidsLimit: number | null
  Children: CgroupNode[]
}

/** `GET /drydock/cgroups`: the groups of this engine. */
export type CgroupTree = { Version: 1 | 2; Controllers: string[]; Root: CgroupNode }

export type PressureLine = { Avg10: number; Avg60: number; Avg300: number; Total: number }

/** `GET /drydock/containers/{id}/limits`; with `?stream=true` a line of JSON each second until the container ends. */
export type LimitsSample = {
  /** RFC 3339. */
  Read: string
  /** Bytes; a missing limit is null. */
  Memory: {
    Usage: number
    Limit: number | null
    Peak: number | null
    Swap: number | null
    SwapLimit: number | null
    OomKills: number
    Failures: number
    Stat: Record<string, number>
  }
  /** Times in nanoseconds, quota and period in microseconds. */
  Cpu: {
    Usage: number
    User: number
    System: number
    Quota: number | null
    Period: number | null
    Shares: number | null
    Periods: number
    ThrottledPeriods: number
    ThrottledTime: number
    Online: number
  }
  Pids: { Current: number; Limit: number | null }
  Io: { Major: number; Minor: number; ReadBytes: number; WriteBytes: number; Reads: number; Writes: number }[]
  /** Null where the kernel has no pressure information. */
  Pressure: Record<'Cpu' | 'Memory' | 'Io', { Some: PressureLine | null; Full: PressureLine | null } | null> | null
}

export type TraceSpan = { Layer: string; Name: string; Start: number; End: number }

/** `GET /drydock/containers/{id}/trace`: the last start, milliseconds since the epoch with fractions. */
export type Trace = { Spans: TraceSpan[] }

/**
 * `POST /drydock/containers/{id}/dial?port=N` with `Connection: Upgrade`, `Upgrade: tcp`: after the 101 the connection is
 * one to 127.0.0.1:N inside the container. 409 where nothing listens.
 */
export type DialQuery = { port: number }

/** `POST /drydock/prune/preview`: what a prune of these kinds would remove. Nothing is removed. */
export type PrunePreviewRequest = {
  Containers?: boolean
  Images?: boolean
  AllImages?: boolean
  Volumes?: boolean
  AllVolumes?: boolean
  Networks?: boolean
}
export type PrunePreview = {
  Containers: { Id: string; Name: string; Bytes: number }[]
  Images: { Id: string; Tags: string[]; Bytes: number }[]
  Volumes: { Name: string; Bytes: number }[]
  Networks: { Id: string; Name: string }[]
  Bytes: number
}
