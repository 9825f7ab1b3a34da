/** Putting a container on a further network, or taking it off one; wire fact 154. */
import { EngineError } from '../base/errors.ts'
import type { Network } from '../network/network.ts'
import type { Container, EndpointSettings } from './container.ts'
import { checkEndpointSettings } from './endpoint-settings.ts'
import type { Engine } from './engine.ts'
import { hostsOf, updateNetworkFiles } from './network-files.ts'
import { announceNetwork, endpointRequest, networkMode } from './network-setup.ts'
import { hasProcess, isRunning } from './state-table.ts'

/** Live when the container runs, else from its next start on. */
export async function connect(
  engine: Engine,
  reference: string,
  networkReference: string,
  settings: EndpointSettings,
): Promise<void> {
  const { id } = engine.table.get(reference)
  const network = engine.networks.get(networkReference)
  await engine.lock.run(id, async () => {
    const container = engine.table.byId(id)
    mayConnect(container, network)
    checkEndpointSettings(network.name, network, settings)
    const networks = { ...container.networks, [network.name]: settings }
    if (!hasProcess(container.run.state)) {
      engine.table.update(id, { networks })
      return
    }
    const before = hostsOf(engine, container)
    const endpoint = await engine.networks.attach(
      endpointRequest({ ...container, networks }, network, settings, `/proc/${container.run.pid}/ns/net`),
    )
    const after = engine.table.update(id, { networks, endpoints: engine.networks.endpointsOf(id) })
    await updateNetworkFiles(engine, after, before)
    announceNetwork(engine, 'connect', after, endpoint)
  })
}

function mayConnect(container: Container, network: Network): void {
  const mode = networkMode(container).kind
  if (mode === 'container')
    throw new EngineError(
      'invalid',
      'container sharing network namespace with another container or host cannot be connected to any other network',
    )
  if (mode === 'host' && isRunning(container.run.state))
    throw new EngineError(
      'forbidden',
      'cannot connect container to host network - container must be created in host network mode',
    )
  if (network.driver === 'host')
    throw new EngineError(
      'forbidden',
      'container cannot be connected to host network - container must be created in host network mode',
    )
  if (network.driver === 'null' || mode === 'none')
    throw new EngineError(
      'forbidden',
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    )
  if (container.networks[network.name] !== undefined)
    throw new EngineError('forbidden', `endpoint with name ${container.name} already exists in network ${network.name}`)
}

/** `force` also forgets an endpoint that only the network still knows of. */
export async function disconnect(
  engine: Engine,
  reference: string,
  networkReference: string,
  force: boolean,
): Promise<void> {
  const network = engine.networks.get(networkReference)
  const id = memberId(engine, reference, network, force)
  await engine.lock.run(id, async () => {
    const container = engine.table.find(id)
    if (container === undefined) return engine.networks.detach(id, network.id)
    if (network.driver === 'host' && hasProcess(container.run.state))
      throw new EngineError('forbidden', 'container cannot be disconnected from host network')
    if (container.networks[network.name] === undefined)
      throw new EngineError('forbidden', `container ${container.id} is not connected to network ${network.name}`)
    const { [network.name]: _gone, ...networks } = container.networks
    const before = hostsOf(engine, container)
    if (hasProcess(container.run.state)) await engine.networks.detach(id, network.id)
    const endpoint = container.endpoints.find(({ networkId }) => networkId === network.id)
    const endpoints = hasProcess(container.run.state) ? engine.networks.endpointsOf(id) : []
    const after = engine.table.update(id, { networks, endpoints })
    if (endpoint === undefined) return
    await updateNetworkFiles(engine, after, before)
    announceNetwork(engine, 'disconnect', after, endpoint)
  })
}

function memberId(engine: Engine, reference: string, network: Network, force: boolean): string {
  try {
    return engine.table.get(reference).id
  } catch (error) {
    const member = engine.networks
      .members(network.id)
      .find(({ containerId, containerName }) => containerId === reference || containerName === reference)
    if (!force || member === undefined) throw error
    return member.containerId
  }
}
