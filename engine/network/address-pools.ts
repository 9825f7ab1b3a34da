/** Which subnet a new network gets, and which address a new endpoint. Pure: what is taken is handed in. */

import { type IpAddress, lastAddress, overlaps, parseSubnet, type Subnet } from '../base/address.ts'
import { EngineError } from '../base/errors.ts'

/** Docker's default pools; wire fact 145. */
function* defaultPools(): Generator<Subnet> {
  for (let second = 17; second <= 31; second += 1) yield parseSubnet(`172.${second}.0.0/16`)
  for (let third = 0; third < 256; third += 16) yield parseSubnet(`192.168.${third}.0/20`)
}

/** The first default pool that overlaps nothing taken (host routes and other networks). */
export function chooseSubnet(taken: readonly Subnet[]): Subnet {
  for (const pool of defaultPools()) if (!taken.some((subnet) => overlaps(pool, subnet))) return pool
  throw new EngineError('invalid', 'all predefined address pools have been fully subnetted')
}

export type AddressRequest = {
  /** Where addresses come from: the subnet (of at least four addresses), or a part of it. */
  range: Subnet
  subnet: Subnet
  /** Taken: endpoints, the gateway, reserved ones. */
  taken: ReadonlySet<bigint>
  /** The one given out last: the search goes on after it, so that an address rests before it comes back. */
  last?: bigint
}

/** The next free address, undefined when there is none. Never the network's own or IPv4's broadcast address. */
export function chooseAddress(request: AddressRequest): IpAddress | undefined {
  const { range, subnet, taken } = request
  const lowest = range.network === subnet.network ? range.network + 1n : range.network
  const end = lastAddress(range)
  const highest = subnet.version === 4 && end === lastAddress(subnet) ? end - 1n : end
  const from =
    request.last !== undefined && request.last >= lowest && request.last < highest ? request.last + 1n : lowest
  for (let value = from; value <= highest; value += 1n) if (!taken.has(value)) return { version: subnet.version, value }
  for (let value = lowest; value < from; value += 1n) if (!taken.has(value)) return { version: subnet.version, value }
  return undefined
}
