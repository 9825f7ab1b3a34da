/** Options of Docker's that this engine has nothing for: refused with their name, never passed over. Pure. */
import { EngineError } from '../base/errors.ts'
import type { HostConfig } from './container.ts'

const refused = (sentence: string): EngineError => new EngineError('not-implemented', sentence)

/** Of Windows, and of kernels before 6.x; zero is what clients send that do not mean them. */
const foreignLimits = ['CpuCount', 'CpuPercent', 'IOMaximumIOps', 'IOMaximumBandwidth', 'KernelMemoryTCP'] as const

/** Throws not-implemented, or in dockerd's own words where it would refuse on such a machine, too. */
export function refuseAbsentOptions(host: HostConfig): void {
  for (const { Driver = '', Capabilities = [] } of host.DeviceRequests ?? []) {
    const words = Capabilities.map((all) => `[${all.join(' ')}]`).join(' ')
    throw refused(`could not select device driver "${Driver}" with capabilities: [${words}]`)
  }
  if (Object.keys(host.StorageOpt ?? {}).length > 0)
    throw refused('--storage-opt is not supported: the storage driver overlay2 has no limits of its own here')
  // Not 404: the command line would take the image for missing, and pull it.
  if (host.VolumeDriver && host.VolumeDriver !== 'local')
    throw new EngineError(
      'invalid',
      `error looking up volume plugin ${host.VolumeDriver}: plugin "${host.VolumeDriver}" not found`,
    )
  if (host.Isolation && host.Isolation.toLowerCase() !== 'default')
    throw new EngineError('invalid', `invalid isolation '${host.Isolation}' on linux`)
  if (host.Cgroup) throw refused(`the control group of another container cannot be joined: ${host.Cgroup}`)
  for (const name of foreignLimits)
    if ((host[name] ?? 0) !== 0) throw refused(`${name} is not a limit that this machine can keep`)
}
