/** What is wrong with the subnets that a client asks for: all of it at once, in dockerd's words. Pure. */
import {
  contains,
  formatAddress,
  formatSubnet,
  type IpAddress,
  type IpVersion,
  parseAddress,
  type Subnet,
  subnetOf,
} from '../base/address.ts'
import { EngineError } from '../base/errors.ts'
import type { IpamConfig } from './network.ts'

type Prefix = { address: IpAddress; subnet: Subnet; text: string }

/** `10.0.0.1/24`, host bits and all. */
function parsePrefix(text: string): Prefix | undefined {
  const [, left = '', right = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? []
  const address = parseAddress(left)
  const length = Number(right)
  if (address === undefined || right === '' || length > (address.version === 4 ? 32 : 128)) return undefined
  return { address, subnet: subnetOf(address, length), text: `${formatAddress(address)}/${length}` }
}

const hasHostBits = ({ address, subnet }: Prefix): boolean => address.value !== subnet.network

function* rangeProblems(text: string, { subnet }: Prefix): Generator<string> {
  const range = parsePrefix(text)
  if (range === undefined) return yield `invalid ip-range ${text}: invalid CIDR block notation`
  if (range.subnet.version !== subnet.version)
    return yield `invalid ip-range ${text}: parent subnet is an IPv${subnet.version} block`
  if (range.subnet.prefixLength < subnet.prefixLength)
    yield `invalid ip-range ${text}: CIDR block is bigger than its parent subnet ${formatSubnet(subnet)}`
  if (hasHostBits(range)) yield `invalid ip-range ${range.text}: it should be ${formatSubnet(range.subnet)}`
  if (!contains(subnet, { version: subnet.version, value: range.subnet.network }))
    yield `invalid ip-range ${text}: parent subnet ${formatSubnet(subnet)} doesn't contain ip-range`
}

function addressProblem(text: string, { subnet }: Prefix): string | undefined {
  const address = parseAddress(text)
  if (address === undefined) return 'invalid address'
  if (address.version !== subnet.version) return `parent subnet is an IPv${subnet.version} block`
  return contains(subnet, address) ? undefined : `parent subnet ${formatSubnet(subnet)} doesn't contain this address`
}

function* problemsOf(config: IpamConfig, versions: readonly IpVersion[]): Generator<string> {
  const prefix = parsePrefix(config.Subnet ?? '')
  if (prefix === undefined) return yield `invalid subnet ${config.Subnet ?? ''}: invalid CIDR block notation`
  if (!versions.includes(prefix.subnet.version)) return
  if (hasHostBits(prefix)) yield `invalid subnet ${prefix.text}: it should be ${formatSubnet(prefix.subnet)}`
  if (config.IPRange) yield* rangeProblems(config.IPRange, prefix)
  const addresses: [what: string, text: string][] = [
    ...(config.Gateway ? [[`gateway ${config.Gateway}`, config.Gateway] as [string, string]] : []),
    ...Object.entries(config.AuxiliaryAddresses ?? {}).map(([name, text]): [string, string] => [
      `auxiliary address ${name}`,
      text,
    ]),
  ]
  for (const [what, text] of addresses) {
    const problem = addressProblem(text, prefix)
    if (problem !== undefined) yield `invalid ${what}: ${problem}`
  }
}

/** Several are a list. */
const joined = (problems: readonly string[]): string =>
  problems.length === 1 ? problems[0]! : problems.map((problem) => `* ${problem}`).join('\n')

/**
 * Throws invalid with everything that is wrong.
 *
 * @param versions those that the network has; subnets of another one are not looked at
 */
export function checkIpam(configs: readonly IpamConfig[], versions: readonly IpVersion[]): void {
  const problems = configs.flatMap((config) => [...problemsOf(config, versions)])
  if (problems.length > 0) throw new EngineError('invalid', `invalid network config:\n${joined(problems)}`)
}
