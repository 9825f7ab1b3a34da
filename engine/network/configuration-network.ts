/** Networks that are nothing but a configuration for others: `--config-only`, `--config-from`; libnetwork's rules. Pure. */
import { EngineError } from '../base/errors.ts'
import { plainNetwork } from './define-network.ts'
import type { CreateNetwork, Network } from './network.ts'
import type { StoredNetwork } from './network-store.ts'

const forbidden = (sentence: string): EngineError => new EngineError('forbidden', sentence)

/** Nothing of it is made, and nothing in it is checked before a network takes it. */
export function defineConfiguration(request: CreateNetwork): StoredNetwork {
  if (request.configFrom) throw forbidden('a configuration network cannot depend on another configuration network')
  if (request.internal === true || request.attachable === true)
    throw forbidden(
      'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.',
    )
  return {
    ...plainNetwork(request.name, 'null'),
    configOnly: true,
    enableIPv4: request.enableIPv4 ?? true,
    enableIPv6: request.enableIPv6 ?? false,
    ipam: { Driver: 'default', Options: request.ipam?.Options ?? {}, Config: request.ipam?.Config ?? [] },
    options: request.options ?? {},
    labels: request.labels ?? {},
    bridge: '',
  }
}

const isEmpty = (value: object | undefined): boolean => Object.keys(value ?? {}).length === 0

/** The request with what stands in the configuration; not-found where that is none, forbidden where both say something. */
export function withConfiguration(request: CreateNetwork, configuration: Network | undefined): CreateNetwork {
  const { configFrom, ipam, options, labels, enableIPv4, enableIPv6 } = request
  if (configuration?.configOnly !== true)
    throw new EngineError('not-found', `configuration network ${JSON.stringify(configFrom)} does not exist`)
  if (!isEmpty(options))
    throw forbidden('network driver options are not supported if the network depends on a configuration network')
  const own = [ipam?.Options, ipam?.Config, labels].some((value) => !isEmpty(value))
  if (own || enableIPv6 === true || enableIPv4 === false)
    throw forbidden('user specified configurations are not supported if the network depends on a configuration network')
  const { ipam: given, ...rest } = configuration
  return {
    ...request,
    enableIPv4: rest.enableIPv4,
    enableIPv6: rest.enableIPv6,
    options: rest.options,
    labels: rest.labels,
    ipam: given,
  }
}

/** Throws forbidden while a network has its configuration from there. */
export function refuseUsedConfiguration(configuration: Network, networks: readonly Network[]): void {
  if (configuration.configOnly === true && networks.some(({ configFrom }) => configFrom === configuration.name))
    throw forbidden(`configuration network ${JSON.stringify(configuration.name)} is in use`)
}
