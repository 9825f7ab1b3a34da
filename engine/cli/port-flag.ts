/** `-p [host:][hostPort[-end]:]containerPort[-end][/protocol]`. Pure. */
import type { PortBinding } from '../api/contract/docker.ts'

export type PublishedPorts = { exposed: Record<string, object>; bindings: Record<string, PortBinding[]> }

type Range = { first: number; last: number }

function parseRange(text: string, whole: string): Range {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text)
  const first = Number(match?.[1])
  const last = Number(match?.[2] ?? match?.[1])
  if (match === null || last < first || last > 65535) throw new Error(`invalid containerPort: ${JSON.stringify(whole)}`)
  return { first, last }
}

/** Splits off the host's address, which may be an IPv6 one in brackets. */
function splitHost(text: string): { host: string; ports: string[] } {
  const bracketed = /^\[([0-9a-fA-F:.]+)\]:(.*)$/.exec(text)
  if (bracketed !== null) return { host: bracketed[1]!, ports: bracketed[2]!.split(':') }
  const parts = text.split(':')
  if (parts.length <= 2) return { host: '', ports: parts }
  return { host: parts.slice(0, -2).join(':'), ports: parts.slice(-2) }
}

function publish(into: PublishedPorts, text: string): void {
  const [address, protocol = 'tcp', ...more] = text.split('/')
  if (more.length > 0 || !['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase()))
    throw new Error(`invalid proto: ${JSON.stringify(text)}`)
  const { host, ports } = splitHost(address!)
  const inside = parseRange(ports.at(-1)!, text)
  const outsideText = ports.length > 1 ? ports[0]! : ''
  const outside = outsideText === '' ? undefined : parseRange(outsideText, text)
  const count = inside.last - inside.first
  if (outside !== undefined && outside.last - outside.first !== count && count !== 0)
    throw new Error(`invalid ranges specified for container and host Ports: ${text}`)
  for (let offset = 0; offset <= count; offset += 1) {
    const key = `${inside.first + offset}/${protocol.toLowerCase()}`
    const hostPort =
      outside === undefined
        ? ''
        : count === 0 && outside.last > outside.first
          ? outsideText
          : String(outside.first + offset)
    into.exposed[key] = {}
    into.bindings[key] = [...(into.bindings[key] ?? []), { HostIp: host, HostPort: hostPort }]
  }
}

export function publishedPorts(specs: readonly string[], exposed: readonly string[]): PublishedPorts {
  const ports: PublishedPorts = { exposed: {}, bindings: {} }
  for (const spec of specs) publish(ports, spec)
  for (const spec of exposed) {
    const [range, protocol = 'tcp'] = spec.split('/')
    const { first, last } = parseRange(range!, spec)
    for (let port = first; port <= last; port += 1) ports.exposed[`${port}/${protocol}`] = {}
  }
  return ports
}
