/** Which of a container's networks leads out; wire fact 151. Pure. */
import type { Endpoint } from './network.ts'

/** Best first: the higher priority, then the network's name. Also the order in which networks are asked for a name. */
export const byGatewayPreference = (one: Endpoint, other: Endpoint): number =>
  other.gwPriority - one.gwPriority ||
  (one.networkName < other.networkName ? -1 : one.networkName > other.networkName ? 1 : 0)

/** The endpoint with the default route of each IP version, where there is one that leads out. */
export function gatewayEndpoints(endpoints: readonly Endpoint[]): { 4?: Endpoint; 6?: Endpoint } {
  const sorted = endpoints.toSorted(byGatewayPreference)
  const four = sorted.find(({ gateway }) => gateway !== '')
  const six = sorted.find(({ ipv6Gateway }) => ipv6Gateway !== '')
  return { ...(four === undefined ? {} : { 4: four }), ...(six === undefined ? {} : { 6: six }) }
}
