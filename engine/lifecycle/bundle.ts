/** The files of a start: the OCI bundle, the shim's config, and /etc/hosts and its like. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EngineError } from '../base/errors.ts'
import { supportedResources } from '../cgroup/support.ts'
import { type ResolverConfig, resolverConfigName } from '../resolver/resolver-config.ts'
import type { ShimConfig } from '../shim/shim.ts'
import { formatConfig } from '../spec/config-json.ts'
import type { OciUser } from '../spec/oci.ts'
import type { Container } from './container.ts'
import { containerMounts } from './container-mounts.ts'
import { hostnameOf } from './container-process.ts'
import { containerSpec } from './container-spec.ts'
import { bundleDirectory, cgroupPath, type Engine } from './engine.ts'
import { initMounts } from './init-process.ts'
import { logAttributes, logDriver, logLimits } from './log-config.ts'
import { type NetworkSetup, networkMode } from './network-setup.ts'
import { openForAccounts } from './rootfs.ts'
import { seccompFor } from './seccomp.ts'
import { resolveSubpath } from './subpath.ts'
import { lookUpUser, needsLookup, resolveUser } from './user.ts'

function writeShimConfig(engine: Engine, container: Container, directory: string): void {
  const { config, hostConfig } = container
  mkdirSync(join(directory, 'rootfs'), { recursive: true, mode: 0o711 })
  const attributes = logAttributes(container)
  const shim: ShimConfig = {
    id: container.id,
    rootfs: engine.snapshotter.mounts(container.id),
    terminal: config.Tty === true,
    openStdin: config.OpenStdin === true,
    stdinOnce: config.StdinOnce === true,
    log: {
      driver: logDriver(hostConfig.LogConfig) === 'none' ? 'none' : 'json-file',
      path: container.logPath,
      ...logLimits(hostConfig.LogConfig),
      ...(attributes === undefined ? {} : { attributes }),
    },
  }
  writeFileSync(join(directory, 'shim.json'), JSON.stringify(shim), { mode: 0o600 })
}

/** config.json, shim.json, and the files that are bound over /etc/hosts, /etc/hostname and /etc/resolv.conf. */
export function writeBundle(engine: Engine, given: Container, directory: string, network: NetworkSetup): void {
  const container = withSharedNames(engine, given)
  writeShimConfig(engine, container, directory)
  writeNameFiles(engine, container, network)
  const user = userOf(engine, container)
  const ipcPid = pidOfShared(engine, container.hostConfig.IpcMode)
  const pidPid = pidOfShared(engine, container.hostConfig.PidMode)
  const spec = containerSpec(container, {
    rootPath: join(directory, 'rootfs'),
    user,
    netnsPath: network.netnsPath,
    ...(ipcPid === undefined ? {} : { ipcPid }),
    ...(pidPid === undefined ? {} : { pidPid }),
    mounts: [
      ...containerMounts(container, user, {
        volume: (name) => engine.volumes.get(name),
        subpath: (volume, path) => resolveSubpath(volume.mountpoint, path),
        snapshot: (key) => engine.snapshotter.mounts(key),
      }),
      ...initMounts(engine.execRoot, container.hostConfig),
    ],
    cgroupVersion: engine.cgroups.version,
    cgroupsPath: cgroupPath(engine, container),
    seccomp: seccompFor(container.hostConfig),
  })
  // What this machine cannot keep was told at create; a start does not fail for it.
  const { resources } = supportedResources(engine.cgroups, spec.linux?.resources ?? {})
  const config = { ...spec, linux: { ...spec.linux, resources } }
  writeFileSync(join(directory, 'config.json'), formatConfig(config), { mode: 0o600 })
}

function userOf(engine: Engine, container: Container): OciUser {
  const user = container.config.User ?? ''
  const more = container.hostConfig.GroupAdd ?? []
  if (!needsLookup(user, more)) return resolveUser(user, more, [], [])
  using rootfs = openForAccounts(engine, container)
  return lookUpUser(rootfs.fd, user, more)
}

function pidOfShared(engine: Engine, mode: string | undefined): number | undefined {
  if (mode?.startsWith('container:') !== true) return undefined
  const other = engine.table.get(mode.slice('container:'.length))
  if (other.run.pid === 0)
    throw new EngineError('conflict', `cannot join the namespace of a non running container: ${other.id}`)
  return other.run.pid
}

/** A container that joins another's network sees that one's files. */
function withSharedNames(engine: Engine, container: Container): Container {
  const mode = networkMode(container)
  if (mode.kind !== 'container') return container
  const { hostsPath, hostnamePath, resolvConfPath } = engine.table.get(mode.reference)
  if (container.hostsPath === hostsPath) return container
  return engine.table.update(container.id, { hostsPath, hostnamePath, resolvConfPath })
}

/** Those of another container's network are that one's to write. True: the container has names served to it. */
export function writeNameFiles(engine: Engine, container: Container, network: NetworkSetup): boolean {
  const { hostConfig, config } = container
  const mode = networkMode(container)
  if (mode.kind === 'container') return false
  const files = engine.networks.files({
    hostname: hostnameOf(container),
    domainname: config.Domainname ?? '',
    endpoints: network.endpoints,
    extraHosts: hostConfig.ExtraHosts ?? [],
    dns: hostConfig.Dns ?? [],
    dnsSearch: hostConfig.DnsSearch ?? [],
    dnsOptions: hostConfig.DnsOptions ?? [],
    hostNetwork: mode.kind === 'host',
  })
  writeFileSync(container.hostsPath, files.hosts, { mode: 0o644 })
  writeFileSync(container.hostnamePath, files.hostname, { mode: 0o644 })
  writeFileSync(container.resolvConfPath, files.resolvConf, { mode: 0o644 })
  writeResolverConfig(bundleDirectory(engine, container.id), files.resolver)
  return files.resolver !== undefined
}

/** Replaced by a rename: the shim reads it at any moment. A container whose names are served keeps its resolver. */
function writeResolverConfig(directory: string, config: ResolverConfig | undefined): void {
  if (config === undefined) return
  const path = join(directory, resolverConfigName)
  writeFileSync(`${path}.new`, JSON.stringify(config), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
