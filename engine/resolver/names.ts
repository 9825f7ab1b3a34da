/** Who is called what on which network, and what a question about it is answered with. Pure. */
import { addressBytes, parseAddress } from '../base/address.ts'
import { type Answer, type DnsQuery, encodeName, recordTypes, responseCodes } from './dns-message.ts'

/** One container on one network. The first name is the one that its address leads back to. */
export type NameEntry = { names: readonly string[]; ipv4: string; ipv6: string }

/** A network's file: everybody on it. */
export type NetworkNames = { network: string; entries: readonly NameEntry[] }

/** A network as one container sees it. */
export type VisibleNetwork = NetworkNames & {
  /** The container's own names for others: alias → name on the network. An alias hides a name that is spelled the same. */
  links: Readonly<Record<string, string>>
}

/** Seconds; wire fact 147. */
const lifetime = 600

const bytesOf = (text: string): Buffer => addressBytes(parseAddress(text)!)

const isCalled = ({ names }: NameEntry, name: string): boolean => names.some((one) => one.toLowerCase() === name)

const foldedLinks = (network: VisibleNetwork): Map<string, string> =>
  new Map(Object.entries(network.links).map(([alias, name]) => [alias.toLowerCase(), name.toLowerCase()]))

/** By the container's own aliases, then by the names that everybody uses; undefined where the network knows neither. */
function entriesCalled(networks: readonly VisibleNetwork[], name: string): NameEntry[] {
  for (const network of networks) {
    const target = foldedLinks(network).get(name)
    const found = target === undefined ? [] : network.entries.filter((entry) => isCalled(entry, target))
    if (found.length > 0) return found
  }
  for (const network of networks) {
    if (foldedLinks(network).has(name)) continue
    const found = network.entries.filter((entry) => isCalled(entry, name))
    if (found.length > 0) return found
  }
  return []
}

/** `a.b.c` is a name as it stands, or `a.b` on the network `c`, or `a` on the network `b.c`. */
export function findName(networks: readonly VisibleNetwork[], name: string): NameEntry[] {
  const whole = entriesCalled(networks, name)
  if (whole.length > 0) return whole
  for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
    const named = networks.filter(({ network }) => network.toLowerCase() === name.slice(dot + 1))
    const found = entriesCalled(named, name.slice(0, dot))
    if (found.length > 0) return found
  }
  return []
}

/** The address in `4.3.2.1.in-addr.arpa` or its IPv6 counterpart, as bytes; undefined for other names. RFC 1035 3.5, RFC 3596 2.5. */
export function reversedAddress(name: string): Buffer | undefined {
  const four = /^((?:\d{1,3}\.){3}\d{1,3})\.in-addr\.arpa$/.exec(name)?.[1]
  if (four !== undefined) {
    const text = four.split('.').reverse().join('.')
    const address = parseAddress(text)
    return address === undefined ? undefined : addressBytes(address)
  }
  const six = /^((?:[0-9a-f]\.){31}[0-9a-f])\.ip6\.arpa$/.exec(name)?.[1]
  return six === undefined ? undefined : Buffer.from(six.split('.').reverse().join(''), 'hex')
}

function reverseAnswer(networks: readonly VisibleNetwork[], address: Buffer): Answer | undefined {
  for (const { network, entries } of networks)
    for (const { names, ipv4, ipv6 } of entries)
      if ([ipv4, ipv6].some((text) => text !== '' && bytesOf(text).equals(address))) {
        const data = encodeName(`${names[0]}.${network}`) ?? encodeName(names[0] ?? '')
        return { code: responseCodes.NOERROR, lifetime, records: data ? [{ type: recordTypes.PTR, data }] : [] }
      }
  return undefined
}

/** Each answer begins with another one, so that clients that take the first spread. */
function rotated<T>(list: readonly T[], turn: number): T[] {
  const from = list.length === 0 ? 0 : turn % list.length
  return [...list.slice(from), ...list.slice(0, from)]
}

/**
 * What the networks themselves answer; undefined: it is not theirs to say. A name that exists is never asked for
 * elsewhere, whatever is asked about it: without such records the answer is empty, and not that there is no such name.
 *
 * @param turn counts up with the answers
 */
export function localAnswer(query: DnsQuery, networks: readonly VisibleNetwork[], turn: number): Answer | undefined {
  if (query.name === undefined || query.name === '') return undefined
  const address = query.type === recordTypes.PTR ? reversedAddress(query.name) : undefined
  if (address !== undefined) return reverseAnswer(networks, address)
  const found = findName(networks, query.name)
  if (found.length === 0) return undefined
  const wanted = (type: number): boolean => query.type === type || query.type === recordTypes.ANY
  const of = (type: number, texts: readonly string[]) =>
    wanted(type) ? texts.filter((text) => text !== '').map((text) => ({ type, data: bytesOf(text) })) : []
  const records = [
    ...of(
      recordTypes.A,
      found.map(({ ipv4 }) => ipv4),
    ),
    ...of(
      recordTypes.AAAA,
      found.map(({ ipv6 }) => ipv6),
    ),
  ]
  return { code: responseCodes.NOERROR, lifetime, records: rotated(records, turn) }
}
