/** Limits and restart policy of an existing container; wire fact 172. */
import { EngineError } from '../base/errors.ts'
import { supportedResources } from '../cgroup/support.ts'
import { resourcesOf } from '../spec/limits.ts'
import type { Container, ContainerResources, HostConfig, RestartPolicy } from './container.ts'
import { announce, type Engine } from './engine.ts'
import { checkRestartPolicy, resourceNames } from './host-config.ts'
import { thisMachine } from './machine.ts'

/** Applied to the kernel first, then kept: what the kernel refuses changes nothing. Returns warnings. */
export async function update(
  engine: Engine,
  reference: string,
  resources: ContainerResources,
  restart?: RestartPolicy,
): Promise<string[]> {
  const { id } = engine.table.get(reference)
  checkRestartPolicy(restart)
  return engine.lock.run(id, async () => {
    const container = engine.table.byId(id)
    const hostConfig = merged(container, resources, restart)
    const asked = resourcesOf(changes(resources, hostConfig), thisMachine(), { update: true })
    const supported = supportedResources(engine.cgroups, asked)
    await engine.shims.get(id)?.update(supported.resources)
    announce(engine, engine.table.update(id, { hostConfig }), 'update')
    return supported.warnings
  })
}

/** Zero and absent are both "leave it": the API's clients send zero for what the user did not name. */
function given(resources: ContainerResources): ContainerResources {
  const entries = resourceNames
    .map((name) => [name, resources[name]] as const)
    .filter(([, value]) => value !== undefined && value !== null && value !== 0 && value !== '')
  return Object.fromEntries(entries) as ContainerResources
}

function merged(container: Container, resources: ContainerResources, restart: RestartPolicy | undefined): HostConfig {
  const before = container.hostConfig
  const own = given(resources)
  if (own.NanoCpus !== undefined && (before.CpuPeriod || before.CpuQuota))
    throw new EngineError(
      'invalid',
      'Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set',
    )
  if ((own.CpuPeriod !== undefined || own.CpuQuota !== undefined) && before.NanoCpus)
    throw new EngineError(
      'invalid',
      'Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set',
    )
  const swap = own.MemorySwap ?? before.MemorySwap ?? 0
  if (own.Memory !== undefined && own.MemorySwap === undefined && swap > 0 && own.Memory > swap)
    throw new EngineError(
      'conflict',
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    )
  if (restart?.Name && restart.Name !== 'no' && before.AutoRemove === true)
    throw new EngineError(
      'conflict',
      'Restart policy cannot be updated because AutoRemove is enabled for the container',
    )
  return { ...before, ...own, ...(restart?.Name ? { RestartPolicy: restart } : {}) }
}

/** The kernel counts memory and swap together, so a change of one is told with the other. */
function changes(resources: ContainerResources, after: HostConfig): ContainerResources {
  const own = given(resources)
  if (own.Memory === undefined && own.MemorySwap === undefined) return own
  return {
    ...own,
    ...(after.Memory ? { Memory: after.Memory } : {}),
    ...(after.MemorySwap ? { MemorySwap: after.MemorySwap } : {}),
  }
}
