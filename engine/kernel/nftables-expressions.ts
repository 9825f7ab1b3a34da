/**
 * Rule expressions of nf_tables as bytes: linux/netfilter/nf_tables.h. A rule is a list of expressions that work on
 * sixteen 32-bit registers and stop at the first that does not match. Pure.
 */
import { attribute, nest, text, u32be } from './netlink.ts'

/** NFT_REG32_00 … NFT_REG32_15. A value longer than 4 bytes takes as many registers as it needs. */
export const register = (number: number): number => 8 + number

const NFT_REG_VERDICT = 0
const NFTA_LIST_ELEM = 1
const NFTA_EXPR_NAME = 1
const NFTA_EXPR_DATA = 2
const NFTA_DATA_VALUE = 1
const NFTA_DATA_VERDICT = 2
const NFTA_VERDICT_CODE = 1

/** One expression: an element of NFTA_RULE_EXPRESSIONS. */
export type Expression = Buffer

const expression = (name: string, ...attributes: Buffer[]): Expression =>
  nest(NFTA_LIST_ELEM, text(NFTA_EXPR_NAME, name), nest(NFTA_EXPR_DATA, ...attributes))

/** A value as set elements and comparisons hold it. */
export const value = (type: number, bytes: Buffer): Buffer => nest(type, attribute(NFTA_DATA_VALUE, bytes))

const metaKeys = { iifname: 6, oifname: 7, nfproto: 15, l4proto: 16, iifkind: 26, oifkind: 27 } as const

/**
 * Loads something known about the packet: names are 16 bytes, padded with NUL; the protocols are one byte. A kind is what
 * ip-link(8) calls type (`bridge`, `veth`); the rule does not match where the interface has none, as hardware has none.
 */
export const meta = (key: keyof typeof metaKeys, into: number): Expression =>
  expression('meta', u32be(1, into), u32be(2, metaKeys[key]))

const payloadBases = { network: 1, transport: 2 } as const

/** Loads bytes of a header, in network order. */
export const payload = (base: keyof typeof payloadBases, offset: number, length: number, into: number): Expression =>
  expression('payload', u32be(1, into), u32be(2, payloadBases[base]), u32be(3, offset), u32be(4, length))

/** Goes on when the register holds (or does not hold) these bytes. */
export const compare = (from: number, operator: 'is' | 'is not', bytes: Buffer): Expression =>
  expression('cmp', u32be(1, from), u32be(2, operator === 'is' ? 0 : 1), value(3, bytes))

/** Register and mask, in place. */
export const mask = (at: number, bytes: Buffer): Expression =>
  expression(
    'bitwise',
    u32be(1, at),
    u32be(2, at),
    u32be(3, bytes.length),
    value(4, bytes),
    value(5, Buffer.alloc(bytes.length)),
  )

const trackingKeys = { state: 0, status: 2 } as const

/** Loads a connection's state or status bits, in the machine's byte order. */
export const tracking = (key: keyof typeof trackingKeys, into: number): Expression =>
  expression('ct', u32be(1, into), u32be(2, trackingKeys[key]))

export const trackingBits = { established: 2, related: 4, destinationChanged: 32 } as const

/** Goes on when a connection has one of these bits; uses register 0. */
export function trackingHas(key: keyof typeof trackingKeys, bits: number): Expression[] {
  const wanted = Buffer.alloc(4)
  wanted.writeUInt32LE(bits)
  return [tracking(key, register(0)), mask(register(0), wanted), compare(register(0), 'is not', Buffer.alloc(4))]
}

const NFT_FIB_RESULT_ADDRTYPE = 3
const NFTA_FIB_F_DADDR = 2
const RTN_LOCAL = 2

/** Goes on when the packet's destination is an address of this machine; uses register 0. */
export function destinationIsLocal(): Expression[] {
  const local = Buffer.alloc(4)
  local.writeUInt32LE(RTN_LOCAL)
  return [
    expression('fib', u32be(1, register(0)), u32be(2, NFT_FIB_RESULT_ADDRTYPE), u32be(3, NFTA_FIB_F_DADDR)),
    compare(register(0), 'is', local),
  ]
}

/** Goes on when the set has the key that starts at `from`; for a map, loads its value. */
export const lookup = (set: string, from: number, into?: number): Expression =>
  expression('lookup', text(1, set), u32be(2, from), ...(into === undefined ? [] : [u32be(3, into)]))

/** NFPROTO_IPV4 and NFPROTO_IPV6 of linux/netfilter.h. */
export const networkProtocols = { ip: 2, ip6: 10 } as const
export type NetworkProtocol = keyof typeof networkProtocols

/** Puts bytes into a register. */
export const load = (into: number, bytes: Buffer): Expression =>
  expression('immediate', u32be(1, into), value(2, bytes))

const NFT_NAT_DNAT = 1

/** Rewrites the destination to the address and port in these registers; final. */
export const destinationNat = (protocol: NetworkProtocol, address: number, port: number): Expression =>
  expression('nat', u32be(1, NFT_NAT_DNAT), u32be(2, networkProtocols[protocol]), u32be(3, address), u32be(5, port))

/** Rewrites the source to the address of the link the packet leaves by; final. */
export const masquerade = (): Expression => expression('masq')

const verdicts = { drop: 0, accept: 1 } as const

/** Ends the chain. */
export const verdict = (code: keyof typeof verdicts): Expression =>
  expression(
    'immediate',
    u32be(1, NFT_REG_VERDICT),
    nest(2, nest(NFTA_DATA_VERDICT, u32be(NFTA_VERDICT_CODE, verdicts[code]))),
  )

const NFT_JUMP = -3
const NFTA_VERDICT_CHAIN = 2

/** The value of a verdict map's element: on in this chain, and back. */
export const jumpTo = (type: number, chain: string): Buffer =>
  nest(type, nest(NFTA_DATA_VERDICT, u32be(NFTA_VERDICT_CODE, NFT_JUMP), text(NFTA_VERDICT_CHAIN, chain)))

/** What the map's element for the key that starts at `from` says is done; goes on where it has none. */
export const verdictBy = (map: string, from: number): Expression =>
  expression('lookup', text(1, map), u32be(2, from), u32be(3, NFT_REG_VERDICT))

/** An interface's name as meta loads it. */
export function interfaceName(name: string): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.write(name, 0, 15)
  return bytes
}

/** Goes on when the packet came in, or leaves, by this interface; uses registers 0–3. */
export const interfaceIs = (
  direction: 'iifname' | 'oifname',
  operator: 'is' | 'is not',
  name: string,
): Expression[] => [meta(direction, register(0)), compare(register(0), operator, interfaceName(name))]

/** Goes on for IPv4, or IPv6, in a table of both; uses register 0. */
export const protocolIs = (protocol: NetworkProtocol): Expression[] => [
  meta('nfproto', register(0)),
  compare(register(0), 'is', Buffer.of(networkProtocols[protocol])),
]

/** Where an address stands in its header. */
export const addressOffsets = {
  ip: { source: 12, destination: 16, length: 4 },
  ip6: { source: 8, destination: 24, length: 16 },
} as const

/** Goes on when an address is in a subnet; uses the registers from 0. Precondition: `protocolIs`. */
export function addressIn(
  protocol: NetworkProtocol,
  which: 'source' | 'destination',
  network: Buffer,
  prefixLength: number,
): Expression[] {
  const { length, [which]: offset } = addressOffsets[protocol]
  const bits = Buffer.alloc(length)
  for (let bit = 0; bit < prefixLength; bit += 1) bits[bit >> 3]! |= 0x80 >> (bit & 7)
  return [payload('network', offset, length, register(0)), mask(register(0), bits), compare(register(0), 'is', network)]
}
