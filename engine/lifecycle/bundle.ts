/** The files of a start: the OCI bundle, the shim's config, and /etc/hosts and its like. */
import { closeSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EngineError } from '../base/errors.ts'
import { supportedResources } from '../cgroup/support.ts'
import type { ShimConfig } from '../shim/shim.ts'
import { formatConfig } from '../spec/config-json.ts'
import type { OciUser } from '../spec/oci.ts'
import { openForClient } from '../volumes/host-path.ts'
import type { Container } from './container.ts'
import { containerMounts } from './container-mounts.ts'
import { containerSpec } from './container-spec.ts'
import { cgroupPath, type Engine } from './engine.ts'
import { initMounts } from './init-process.ts'
import { linkedContainers, linkVariables } from './links.ts'
import { logAttributes, logDriver, logLimits } from './log-config.ts'
import { writeNetworkFiles } from './network-files.ts'
import { type NetworkSetup, networkMode } from './network-setup.ts'
import { openForAccounts } from './rootfs.ts'
import { seccompFor } from './seccomp.ts'
import { openSubpath } from './subpath.ts'
import { lookUpUser, needsLookup, resolveUser } from './user.ts'
import { idMapsOf, sharedUserNamespace } from './user-namespace.ts'

function writeShimConfig(engine: Engine, container: Container, directory: string): void {
  const { config, hostConfig } = container
  mkdirSync(join(directory, 'rootfs'), { recursive: true, mode: 0o711 })
  const attributes = logAttributes(container)
  const shim: ShimConfig = {
    id: container.id,
    rootfs: engine.snapshotter.mounts(container.id),
    mapOwners: idMapsOf(engine, hostConfig) !== undefined,
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

/**
 * config.json, shim.json, and the files that are bound over /etc/hosts, /etc/hostname and /etc/resolv.conf.
 *
 * @param held what must stay open until the container is created
 */
export function writeBundle(
  engine: Engine,
  given: Container,
  { directory, network, held }: { directory: string; network: NetworkSetup; held: DisposableStack },
): void {
  const container = withSharedNames(engine, given)
  writeShimConfig(engine, container, directory)
  writeNetworkFiles(engine, container, network.endpoints)
  const user = userOf(engine, container)
  const idMaps = idMapsOf(engine, container.hostConfig)
  const userPid = sharedUserNamespace(engine, container)
  const ipcPid = pidOfShared(engine, container.hostConfig.IpcMode, requireShareable)
  const pidPid = pidOfShared(engine, container.hostConfig.PidMode)
  const kept = (fd: number): string => `/proc/${process.pid}/fd/${held.adopt(fd, closeSync)}`
  const spec = containerSpec(container, {
    rootPath: join(directory, 'rootfs'),
    user,
    netnsPath: network.netnsPath,
    newNetwork: network.madeWithContainer === true,
    idMaps,
    ...(userPid === undefined ? {} : { userPid }),
    ...(ipcPid === undefined ? {} : { ipcPid }),
    ...(pidPid === undefined ? {} : { pidPid }),
    mounts: [
      ...containerMounts(container, user, {
        volume: (name) => engine.volumes.get(name),
        subpath: (volume, path) => kept(openSubpath(volume.mountpoint, path)),
        snapshot: (key) => engine.snapshotter.mounts(key),
        reached: (path, client) => kept(openForClient(path, client)),
        idMaps,
      }),
      ...initMounts(engine.execRoot, container.hostConfig),
    ],
    cgroupVersion: engine.cgroups.version,
    cgroupsPath: cgroupPath(engine, container),
    seccomp: seccompFor(container.hostConfig),
    variables: linkVariables(container, linkedContainers(engine, container)),
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

function requireShareable({ id, hostConfig }: Container): void {
  if (hostConfig.IpcMode === 'private' || hostConfig.IpcMode === 'none')
    throw new EngineError(
      'invalid',
      `container ${id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    )
}

function pidOfShared(
  engine: Engine,
  mode: string | undefined,
  check: (other: Container) => void = () => undefined,
): number | undefined {
  if (mode?.startsWith('container:') !== true) return undefined
  const other = engine.table.get(mode.slice('container:'.length))
  if (other.run.pid === 0)
    throw new EngineError('conflict', `cannot join the namespace of a non running container: ${other.id}`)
  check(other)
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
