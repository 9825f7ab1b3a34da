/**
 * Port 53 of the resolver's address, led to the ports it listens on: a container may run a name server of its own on
 * every address there is, and would not get port 53 if it were taken. Pure.
 */
import type { NetlinkRequest } from '../kernel/netlink.ts'
import { addChain, addRule, addTable, deleteTable } from '../kernel/nftables.ts'
import {
  addressOffsets,
  compare,
  destinationNat,
  type Expression,
  load,
  meta,
  payload,
  protocolIs,
  register,
} from '../kernel/nftables-expressions.ts'

export const resolverAddress = '127.0.0.11'
const addressBytes = Buffer.of(127, 0, 0, 11)
const namePort = Buffer.of(0, 53)
const table = 'drydock-names'
const protocolNumbers = { udp: 17, tcp: 6 } as const

const rule = (protocol: keyof typeof protocolNumbers, port: number): Expression[] => [
  ...protocolIs('ip'),
  payload('network', addressOffsets.ip.destination, 4, register(0)),
  compare(register(0), 'is', addressBytes),
  meta('l4proto', register(0)),
  compare(register(0), 'is', Buffer.of(protocolNumbers[protocol])),
  payload('transport', 2, 2, register(0)),
  compare(register(0), 'is', namePort),
  load(register(0), addressBytes),
  load(register(1), Buffer.of(port >> 8, port & 0xff)),
  destinationNat('ip', register(0), register(1)),
]

/** A table of the container's own network namespace, in place of the one before. For `transaction`. */
export const redirectRequests = (ports: { udp: number; tcp: number }): NetlinkRequest[] => [
  addTable(table),
  deleteTable(table),
  addTable(table),
  addChain({ table, name: 'names', type: 'nat', hook: 'output', priority: -100 }),
  addRule(table, 'names', rule('udp', ports.udp)),
  addRule(table, 'names', rule('tcp', ports.tcp)),
]
