/** `info` and `version` as Docker's command line sets them. Pure. */
import type { Info, Version } from '../api/contract/docker-store.ts'
import { binarySize } from './units.ts'

type Line = readonly [depth: number, name: string, value: string | number | boolean]

const lines = (all: readonly Line[]): string =>
  all.map(([depth, name, value]) => `${`${' '.repeat(depth)}${name}: ${value}`.trimEnd()}\n`).join('')

const yes = (value: boolean): string => String(value)

export function infoText(info: Info): string {
  const warnings = (info.Warnings ?? []).map((warning) => `${warning}\n`).join('')
  return `Server:\n${lines([...stateLines(info), ...layerLines(info), ...machineLines(info)])}\n${warnings}`
}

const stateLines = (info: Info): Line[] => [
  [1, 'Containers', info.Containers],
  [2, 'Running', info.ContainersRunning],
  [2, 'Paused', info.ContainersPaused],
  [2, 'Stopped', info.ContainersStopped],
  [1, 'Images', info.Images],
  [1, 'Server Version', info.ServerVersion],
]

const layerLines = (info: Info): Line[] => [
  [1, 'Storage Driver', info.Driver],
  ...info.DriverStatus.map(([name, value]): Line => [2, name, value]),
  [1, 'Supervisors', info.DrydockSupervisors === 'fork' ? 'forked' : 'a Node process for each container'],
  [1, 'Logging Driver', info.LoggingDriver],
  [1, 'Cgroup Driver', info.CgroupDriver],
  [1, 'Cgroup Version', info.CgroupVersion],
  [1, 'Plugins', ''],
  [2, 'Volume', info.Plugins.Volume.join(' ')],
  [2, 'Network', info.Plugins.Network.join(' ')],
  [2, 'Log', info.Plugins.Log.join(' ')],
  [1, 'Swarm', info.Swarm.LocalNodeState],
  [1, 'Runtimes', Object.keys(info.Runtimes).join(' ')],
  [1, 'Default Runtime', info.DefaultRuntime],
  [1, 'Security Options', ''],
  ...info.SecurityOptions.flatMap(securityLines),
]

/** `name=seccomp,profile=builtin` */
function securityLines(option: string): Line[] {
  const entries = option.split(',').map((entry) => entry.split('='))
  const [, name = option] = entries.find(([key]) => key === 'name') ?? []
  const more = entries.filter(([key]) => key !== 'name')
  return [
    ...(more.length === 0 ? ([[2, name, '']] as Line[]) : []),
    ...more.map(([key = '', value = '']): Line => [2, name, `${key} ${value}`]),
  ]
}

const machineLines = (info: Info): Line[] => [
  [1, 'Kernel Version', info.KernelVersion],
  [1, 'Operating System', info.OperatingSystem],
  [1, 'OSType', info.OSType],
  [1, 'Architecture', info.Architecture],
  [1, 'CPUs', info.NCPU],
  [1, 'Total Memory', binarySize(info.MemTotal)],
  [1, 'Name', info.Name],
  [1, 'ID', info.ID],
  [1, 'Root Dir', info.DockerRootDir],
  [1, 'Debug Mode', yes(info.Debug)],
  [1, 'Experimental', yes(info.ExperimentalBuild)],
  [1, 'Insecure Registries', ''],
  ...Object.values(info.RegistryConfig.IndexConfigs)
    .filter(({ Secure }) => !Secure)
    .map(({ Name }): Line => [2, Name, '']),
  ...info.RegistryConfig.InsecureRegistryCIDRs.map((range): Line => [2, range, '']),
  ...(info.RegistryConfig.Mirrors.length === 0 ? [] : ([[1, 'Registry Mirrors', '']] as Line[])),
  ...info.RegistryConfig.Mirrors.map((mirror): Line => [2, mirror, '']),
  [1, 'Live Restore Enabled', yes(info.LiveRestoreEnabled)],
]

export function versionText(
  client: { version: string; apiVersion: string; platform: string },
  server: Version,
): string {
  const pairs = (indent: number, all: readonly (readonly [name: string, value: string])[]): string =>
    all.map(([name, value]) => `${`${' '.repeat(indent)}${`${name}:`.padEnd(18)}${value}`.trimEnd()}\n`).join('')
  const own = pairs(1, [
    ['Version', client.version],
    ['API version', client.apiVersion],
    ['Node version', process.version],
    ['OS/Arch', client.platform],
  ])
  const engine = pairs(2, [
    ['Version', server.Version],
    ['API version', `${server.ApiVersion} (minimum version ${server.MinAPIVersion})`],
    ['Node version', server.GoVersion.replace('node ', '')],
    ['Kernel version', server.KernelVersion],
    ['OS/Arch', `${server.Os}/${server.Arch}`],
  ])
  return `Client:\n${own}\nServer: ${server.Platform.Name}\n Engine:\n${engine}`
}
