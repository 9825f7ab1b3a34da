/** One sample of what a container uses; wire facts 101–104. */
import { EngineError } from '../base/errors.ts'
import { timestamp } from '../base/time.ts'
import type { ContainerSample } from './containers.ts'
import { cgroupPath, type Engine } from './engine.ts'
import { networkMode } from './network-setup.ts'
import { hasProcess } from './state-table.ts'

export function sample(engine: Engine, reference: string): ContainerSample {
  const container = engine.table.get(reference)
  const { run } = container
  if (!hasProcess(run.state)) throw new EngineError('not-found', `container ${container.id} is not running`)
  return {
    read: timestamp(),
    use: engine.cgroups.group(cgroupPath(engine, container)).use(),
    // The host's own interfaces are not the container's use.
    networks: networkMode(container).kind === 'host' ? {} : engine.networks.counters(`/proc/${run.pid}/ns/net`),
  }
}
