/** Names of kernel objects. Several engines with their own stores run beside each other on one machine. */
import { createHash, randomBytes } from 'node:crypto'

export type InstanceNames = {
  /** The default network's bridge; a link's name has at most 15 bytes. */
  readonly defaultBridge: string
  /** The table of nf_tables, family inet. */
  readonly table: string
}

/** '' is the machine's own installation; any other text (say, its root directory) gets names of its own. */
export function instanceNames(instance: string): InstanceNames {
  if (instance === '') return { defaultBridge: 'drydock0', table: 'drydock' }
  const suffix = createHash('sha256').update(instance).digest('hex').slice(0, 8)
  return { defaultBridge: `dd0-${suffix}`, table: `drydock-${suffix}` }
}

export const bridgeName = (networkId: string): string => `dd-${networkId.slice(0, 12)}`

/** The host's end of an endpoint's pair. */
export const linkName = (): string => `veth${randomBytes(4).toString('hex').slice(0, 7)}`

/** Random, unicast, locally administered. */
export function randomMac(): string {
  const bytes = randomBytes(6)
  bytes[0] = (bytes[0]! & 0xfc) | 0x02
  return bytes.toString('hex').replaceAll(/(..)(?=.)/g, '$1:')
}
