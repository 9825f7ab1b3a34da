/** IP addresses and subnets as numbers. Pure. */
import { isIPv4, isIPv6 } from 'node:net'
import { EngineError } from './errors.ts'

export type IpVersion = 4 | 6
export type IpAddress = { readonly version: IpVersion; readonly value: bigint }
/** `network` has no host bits. */
export type Subnet = { readonly version: IpVersion; readonly network: bigint; readonly prefixLength: number }

export const addressBits = (version: IpVersion): number => (version === 4 ? 32 : 128)

/** The address a text names, in any of its spellings; undefined for anything else. */
export function parseAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { version: 4, value: text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n) }
  if (!isIPv6(text) || text.includes('%')) return undefined
  const embedded = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const hex = (high: string, low: string): string => ((Number(high) << 8) | Number(low)).toString(16)
  const plain =
    embedded === null ? text : `${embedded[1]}${hex(embedded[2]!, embedded[3]!)}:${hex(embedded[4]!, embedded[5]!)}`
  const [head, tail] = plain.split('::') as [string, string?]
  const first = groups(head)
  const last = tail === undefined ? [] : groups(tail)
  const all = [...first, ...new Array<string>(8 - first.length - last.length).fill('0'), ...last]
  return { version: 6, value: all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n) }
}

/** 4 or 16 bytes in network order. */
export const addressBytes = ({ version, value }: IpAddress): Buffer =>
  Buffer.from(value.toString(16).padStart(addressBits(version) / 4, '0'), 'hex')

/** `172.17.0.2`, or IPv6 in its shortest form (RFC 5952, as the URL standard writes it). */
export function formatAddress(address: IpAddress): string {
  const bytes = addressBytes(address)
  if (address.version === 4) return bytes.join('.')
  const groups = bytes.toString('hex').replaceAll(/(....)(?=.)/g, '$1:')
  return new URL(`http://[${groups}]`).hostname.slice(1, -1)
}

export const addressFromBytes = (bytes: Buffer): IpAddress => ({
  version: bytes.length === 4 ? 4 : 6,
  value: BigInt(`0x${bytes.toString('hex') || '0'}`),
})

const hostBits = (subnet: { version: IpVersion; prefixLength: number }): bigint =>
  BigInt(addressBits(subnet.version) - subnet.prefixLength)

export const subnetOf = (address: IpAddress, prefixLength: number): Subnet => {
  const bits = hostBits({ version: address.version, prefixLength })
  return { version: address.version, prefixLength, network: (address.value >> bits) << bits }
}

/** `172.20.0.0/16`; host bits are cut off. Throws invalid, in Docker's words. */
export function parseSubnet(text: string): Subnet {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text)
  const address = match === null ? undefined : parseAddress(match[1]!)
  const prefixLength = Number(match?.[2])
  if (address === undefined || prefixLength > addressBits(address.version))
    throw new EngineError('invalid', `invalid subnet ${text} : invalid CIDR address: ${text}`)
  return subnetOf(address, prefixLength)
}

export const formatSubnet = (subnet: Subnet): string =>
  `${formatAddress({ version: subnet.version, value: subnet.network })}/${subnet.prefixLength}`

export const lastAddress = (subnet: Subnet): bigint => subnet.network | ((1n << hostBits(subnet)) - 1n)

export const contains = (subnet: Subnet, address: IpAddress): boolean =>
  subnet.version === address.version && address.value >= subnet.network && address.value <= lastAddress(subnet)

export const overlaps = (one: Subnet, other: Subnet): boolean =>
  one.version === other.version && one.network <= lastAddress(other) && other.network <= lastAddress(one)
