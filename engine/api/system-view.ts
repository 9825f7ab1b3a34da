/** `/version` and `/info`: what this engine and this machine are. */
import { readFileSync } from 'node:fs'
import { availableParallelism, hostname, machine, release, totalmem } from 'node:os'
import { engineVersion } from '../base/engine-version.ts'
import { loadedDefault, loadedProfiles } from '../lifecycle/apparmor.ts'
import { logDrivers } from '../lifecycle/log-config.ts'
import { newest, oldest } from './api-version.ts'
import type { Info, Version } from './contract/docker-store.ts'
import type { Engine } from './engine.ts'

/** Go's names of architectures, which clients expect in `/version`. */
const goArchitecture: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64', armv7l: 'arm' }

export const versionView = (): Version => {
  const Arch = goArchitecture[machine()] ?? machine()
  const shared = { ApiVersion: newest, MinAPIVersion: oldest, GitCommit: '', Os: 'linux', Arch, BuildTime: '' }
  return {
    Platform: { Name: 'Drydock Engine' },
    Components: [
      {
        Name: 'Engine',
        Version: engineVersion,
        Details: { ...shared, GoVersion: `node ${process.version}`, KernelVersion: release(), Experimental: 'false' },
      },
    ],
    Version: engineVersion,
    ...shared,
    GoVersion: `node ${process.version}`,
    KernelVersion: release(),
  }
}

const readText = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** A field of os-release(5). */
const osField = (text: string, name: string): string =>
  new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? ''

type Counts = Pick<Info, 'Containers' | 'ContainersRunning' | 'ContainersPaused' | 'ContainersStopped'>

function counts(engine: Engine): Counts {
  const states = engine.containers.list().map(({ run }) => run.state)
  const running = states.filter((state) => state === 'running' || state === 'restarting').length
  const paused = states.filter((state) => state === 'paused').length
  return {
    Containers: states.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: states.length - running - paused,
  }
}

function limits(engine: Engine) {
  const has = (name: string): boolean => engine.cgroups.controllers.includes(name)
  return {
    MemoryLimit: has('memory'),
    SwapLimit: has('memory'),
    CpuCfsPeriod: has('cpu'),
    CpuCfsQuota: has('cpu'),
    CPUShares: has('cpu'),
    CPUSet: has('cpuset'),
    PidsLimit: has('pids'),
    OomKillDisable: has('memory') && engine.cgroups.version === 1,
  }
}

/** What a user should know about this machine, in whole sentences. */
function warnings(engine: Engine): string[] {
  const found: string[] = []
  for (const controller of ['memory', 'cpu', 'pids', 'cpuset', 'io'])
    if (
      !engine.cgroups.controllers.includes(controller === 'io' && engine.cgroups.version === 1 ? 'blkio' : controller)
    )
      found.push(`WARNING: No ${controller} limits: the kernel offers no ${controller} cgroup controller here`)
  if (readText('/proc/sys/net/ipv4/ip_forward').trim() !== '1')
    found.push('WARNING: IPv4 forwarding is disabled: containers reach nothing beyond this machine')
  for (const obstacle of engine.networks.obstacles()) found.push(`WARNING: ${obstacle}`)
  if (engine.supervisors.mode === 'process')
    found.push('WARNING: Supervisors cannot be forked here: each container costs a Node process of its own')
  const profiles = loadedProfiles()
  if (profiles !== undefined && loadedDefault(profiles) === undefined)
    found.push(
      'WARNING: No default AppArmor profile is loaded: containers run without one unless they name theirs (drydock setup install loads one)',
    )
  return found
}

function securityOptions({ idMaps }: Engine): string[] {
  const options = ['name=seccomp,profile=builtin']
  if (loadedProfiles() !== undefined) options.unshift('name=apparmor')
  return [...options, ...(idMaps === undefined ? [] : ['name=userns']), 'name=cgroupns']
}

const backing = (root: string): [string, string][] => [
  ['Root', root],
  ['Driver', 'overlayfs, mounted by each container'],
]

/** What is the same on every machine; clients want the fields to be there. */
const unchanging = {
  Driver: 'overlay2',
  Plugins: {
    Volume: ['local'],
    Network: ['bridge', 'host', 'ipvlan', 'macvlan', 'null'],
    Authorization: null,
    Log: [...logDrivers],
  },
  Debug: false,
  NFd: 0,
  NGoroutines: 0,
  LoggingDriver: 'json-file',
  CgroupDriver: 'cgroupfs',
  NEventsListener: 0,
  OSType: 'linux',
  IndexServerAddress: 'https://index.docker.io/v1/',
  GenericResources: null,
  HttpProxy: '',
  HttpsProxy: '',
  NoProxy: '',
  Labels: [],
  ExperimentalBuild: false,
  Runtimes: { drydock: { path: 'built in' } },
  DefaultRuntime: 'drydock',
  Swarm: {
    NodeID: '',
    NodeAddr: '',
    LocalNodeState: 'inactive',
    ControlAvailable: false,
    Error: '',
    RemoteManagers: null,
  },
  LiveRestoreEnabled: true,
  Isolation: '',
  InitBinary: 'docker-init',
  ContainerdCommit: { ID: '' },
  RuncCommit: { ID: '' },
  InitCommit: { ID: '' },
} satisfies Partial<Info>

/** A range is told as such, a host as an index of its own; as dockerd does. */
function registryView({ mirrors, insecure }: Engine['registry']): Info['RegistryConfig'] {
  const ranges = insecure.filter((entry) => entry.includes('/'))
  const hosts = insecure.filter((entry) => !entry.includes('/'))
  const index = (Name: string, Official: boolean, Mirrors: string[]) =>
    [Name, { Name, Mirrors, Secure: Official, Official }] as const
  return {
    InsecureRegistryCIDRs: ['::1/128', '127.0.0.0/8', ...ranges],
    IndexConfigs: Object.fromEntries([
      index('docker.io', true, [...mirrors]),
      ...hosts.map((host) => index(host, false, [])),
    ]),
    Mirrors: [...mirrors],
  }
}

export function infoView(engine: Engine): Info {
  const os = readText('/etc/os-release')
  const found = warnings(engine)
  return {
    ...unchanging,
    ID: engine.id,
    ...counts(engine),
    Images: engine.images.list().length,
    DriverStatus: backing(engine.root),
    ...limits(engine),
    IPv4Forwarding: readText('/proc/sys/net/ipv4/ip_forward').trim() === '1',
    SystemTime: new Date().toISOString(),
    CgroupVersion: String(engine.cgroups.version),
    KernelVersion: release(),
    OperatingSystem: osField(os, 'PRETTY_NAME') || 'Linux',
    OSVersion: osField(os, 'VERSION_ID'),
    Architecture: machine(),
    NCPU: availableParallelism(),
    MemTotal: totalmem(),
    DockerRootDir: engine.root,
    Name: hostname(),
    ServerVersion: engineVersion,
    SecurityOptions: securityOptions(engine),
    Warnings: found.length === 0 ? null : found,
    RegistryConfig: registryView(engine.registry),
    DrydockSupervisors: engine.supervisors.mode,
  }
}
