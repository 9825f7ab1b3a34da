/**
 * Ports of this machine that belong to containers. Each is held by a bound socket, so that another process is refused
 * the port and we are refused one that another process has; wire fact 152.
 */
import { closeSync } from 'node:fs'
import { addressBytes, parseAddress } from '../base/address.ts'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { bindSocket } from '../kernel/network-socket.ffi.ts'
import type { PublishedPort } from './firewall.ts'
import type { PortBinding, PortMap, PortRequest } from './network.ts'
import { proxyDatagrams, proxyStream } from './port-proxy.ts'

/** A port that was asked for: `hostPort` as the API has it: '', '0', '8080' or '8000-8010'. */
export type WantedPort = { key: string; protocol: 'tcp' | 'udp'; port: number; hostIp: string; hostPort: string }

/** The endpoint's addresses; '' where it has none. */
export type PortTarget = { ipAddress: string; ipv6Address: string }

/** Of the host address's own family where the container has one: only then can the kernel lead the way. */
const targetAddress = (target: PortTarget, hostAddress: string): string =>
  (hostAddress.includes(':') ? target.ipv6Address : target.ipAddress) || target.ipAddress || target.ipv6Address

const invalid = (sentence: string): EngineError => new EngineError('invalid', sentence)

function containerPort(key: string): { key: string; protocol: 'tcp' | 'udp' | 'sctp'; port: number } {
  const match = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/i.exec(key)
  const port = Number(match?.[1])
  if (match === null || port < 1 || port > 65535) throw invalid(`invalid port specification: ${JSON.stringify(key)}`)
  const protocol = (match[2]?.toLowerCase() ?? 'tcp') as 'tcp' | 'udp' | 'sctp'
  return { key: `${port}/${protocol}`, protocol, port }
}

/**
 * What is to be bound, and every port that is to show in the endpoint's map. Throws invalid before anything is bound.
 *
 * @param hostBinding where ports are bound that name no address; '' is everywhere
 */
export function wantedPorts(request: PortRequest, hostBinding = ''): { wanted: WantedPort[]; shown: string[] } {
  const bindings = new Map<string, PortBinding[]>()
  const exposed = [...(request.exposedPorts ?? []), ...Object.keys(request.ports ?? {})]
  for (const key of exposed) bindings.set(containerPort(key).key, [])
  for (const [key, list] of Object.entries(request.ports ?? {}))
    bindings.get(containerPort(key).key)!.push(...(list ?? []))
  if (request.publishAllPorts === true)
    for (const list of bindings.values()) if (list.length === 0) list.push({ HostIp: '', HostPort: '' })
  const wanted = [...bindings].flatMap(([name, list]) =>
    list.map(({ HostIp, HostPort }) => {
      const { key, protocol, port } = containerPort(name)
      if (protocol === 'sctp') throw invalid(`cannot publish ${key}: only tcp and udp ports can be published`)
      if (HostIp !== '' && parseAddress(HostIp) === undefined) throw invalid(`invalid IP address: ${HostIp}`)
      return { key, protocol, port, hostIp: HostIp || hostBinding, hostPort: HostPort }
    }),
  )
  for (const { hostPort } of wanted) portRange(hostPort)
  return { wanted, shown: [...bindings.keys()] }
}

/** First and last port to try; 0–0: whichever is free. */
export function portRange(text: string): { first: number; last: number } {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text === '' ? '0' : text)
  const first = Number(match?.[1])
  const last = match?.[2] === undefined ? first : Number(match[2])
  if (match === null || first > 65535 || last > 65535 || last < first)
    throw invalid(`invalid port specification: ${JSON.stringify(text)}`)
  return { first, last }
}

type Held = PublishedPort & { key: string; fd: number; proxy?: Disposable }

/** Whether two holders would be in each other's way. */
const collide = (held: Held, protocol: string, hostAddress: string, port: number): boolean => {
  if (held.protocol !== protocol || held.hostPort !== port) return false
  const [one, other] = [parseAddress(held.hostAddress)!, parseAddress(hostAddress)!]
  return one.version === other.version && (one.value === 0n || other.value === 0n || one.value === other.value)
}

const reasons: Record<string, string> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
}

const hostPort = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`

/** How often a port of the kernel's choice that is free for IPv4 may be taken for IPv6. */
const mostChoices = 16

export class PublishedPorts implements Disposable {
  /** By endpoint id. */
  readonly #held = new Map<string, Held[]>()

  /** Binds all of them, or none and throws internal in Docker's words. Sockets are proxied from then on. */
  hold(endpointId: string, wanted: readonly WantedPort[], target: PortTarget): PublishedPort[] {
    using cleanup = new DisposableStack()
    const held: Held[] = []
    this.#held.set(endpointId, held)
    cleanup.defer(() => this.release(endpointId))
    for (const want of wanted) this.#holdOne(held, want, target)
    for (const port of held) {
      const proxy = port.protocol === 'tcp' ? proxyStream : proxyDatagrams
      port.proxy = proxy(port.fd, { address: port.address, port: port.port }, port.hostAddress)
    }
    cleanup.move()
    return held
  }

  #holdOne(held: Held[], want: WantedPort, target: PortTarget): void {
    const { first, last } = portRange(want.hostPort)
    const attempts = first === 0 ? new Array<number>(mostChoices).fill(0) : undefined
    const candidates = attempts ?? Array.from({ length: last - first + 1 }, (_, index) => first + index)
    let failure: unknown
    for (const candidate of candidates) {
      try {
        held.push(...this.#bindFamilies(want, candidate, target))
        return
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  /** No host address: IPv4 and IPv6 under one number; IPv6 is left out on a machine without it. */
  #bindFamilies(want: WantedPort, candidate: number, target: PortTarget): Held[] {
    using cleanup = new DisposableStack()
    const bound: Held[] = []
    for (const hostAddress of want.hostIp === '' ? ['0.0.0.0', '::'] : [want.hostIp]) {
      const port = bound[0]?.hostPort ?? candidate
      const address = targetAddress(target, hostAddress)
      const fd = this.#bind(want, hostAddress, port, address, bound.length > 0)
      if (fd === undefined) continue
      cleanup.adopt(fd.fd, closeSync)
      bound.push({
        key: want.key,
        protocol: want.protocol,
        hostAddress,
        hostPort: fd.port,
        address,
        port: want.port,
        fd: fd.fd,
      })
    }
    cleanup.move()
    return bound
  }

  #bind(want: WantedPort, hostAddress: string, port: number, address: string, optional: boolean) {
    const at = hostPort(hostAddress, port)
    for (const held of this.#held.values())
      if (port !== 0 && held.some((other) => collide(other, want.protocol, hostAddress, port)))
        throw new EngineError('internal', `Bind for ${at} failed: port is already allocated`)
    try {
      return bindSocket(want.protocol, addressBytes(parseAddress(hostAddress)!), port, at)
    } catch (error) {
      if (optional && isErrno(error, 'EAFNOSUPPORT', 'EADDRNOTAVAIL')) return undefined
      const reason = isErrno(error, ...Object.keys(reasons)) ? reasons[(error as NodeJS.ErrnoException).code!] : error
      const target = `${at}:${address}:${want.key}`
      throw new EngineError('internal', `failed to bind host port for ${target}: ${reason}`, { cause: error })
    }
  }

  of(endpointId: string): readonly PublishedPort[] {
    return this.#held.get(endpointId) ?? []
  }

  /** Missing is fine. */
  release(endpointId: string): void {
    for (const { fd, proxy } of this.#held.get(endpointId) ?? [])
      if (proxy === undefined) closeSync(fd)
      else proxy[Symbol.dispose]()
    this.#held.delete(endpointId)
  }

  [Symbol.dispose](): void {
    for (const endpointId of [...this.#held.keys()]) this.release(endpointId)
  }
}

/** The endpoint's map, as inspect shows it. */
export function portMap(shown: readonly string[], bound: readonly (PublishedPort & { key?: string })[]): PortMap {
  const map: PortMap = {}
  for (const key of shown) {
    const bindings = bound.filter(({ protocol, port }) => `${port}/${protocol}` === key)
    map[key] =
      bindings.length === 0
        ? null
        : bindings.map(({ hostAddress, hostPort }) => ({
            HostIp: hostAddress,
            HostPort: hostPort === 0 ? '' : `${hostPort}`,
          }))
  }
  return map
}

/** The way back from the map that was kept: what a restarted daemon binds again. */
export function publishedIn(map: PortMap, target: PortTarget): PublishedPort[] {
  return Object.entries(map).flatMap(([key, bindings]) => {
    const { protocol, port } = containerPort(key)
    if (protocol === 'sctp') return []
    return (bindings ?? []).map(({ HostIp, HostPort }) => ({
      protocol,
      port,
      address: targetAddress(target, HostIp),
      hostAddress: HostIp,
      hostPort: Number(HostPort),
    }))
  })
}
