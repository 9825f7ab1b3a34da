/** Where registries are and how patient to be with them. */
import { BlockList, isIP } from 'node:net'
import type { Reference } from './reference.ts'

export type RegistryConfig = {
  /** Base URLs that are asked before Docker Hub, for pulls of docker.io only; they get no credentials. */
  mirrors: readonly string[]
  /** `host`, `host:port` or an address range: certificates are not checked and plain HTTP will do. Loopback always is. */
  insecure: readonly string[]
  /** Milliseconds. */
  connectTimeout: number
  /** Milliseconds until an answer begins. */
  headersTimeout: number
  /** Milliseconds without one byte until a download counts as stalled and is resumed. */
  stallTimeout: number
  /** Tries per request, and per download in a row without progress. */
  attempts: number
  /** Milliseconds before the second try; doubles with each further one. */
  backOff: number
  /** Milliseconds; a Retry-After beyond it is not waited for. */
  longestWait: number
  /** Layers at a time, over all pulls. */
  downloads: number
  /** Layers at a time, over all pushes. */
  uploads: number
}

export const registryDefaults: RegistryConfig = {
  mirrors: [],
  insecure: [],
  connectTimeout: 15_000,
  headersTimeout: 60_000,
  stallTimeout: 30_000,
  attempts: 5,
  backOff: 500,
  longestWait: 60_000,
  downloads: 3,
  uploads: 5,
}

/** One place to talk to: its `origin` without a path, tried in order. */
export type Endpoint = {
  /** Base URLs ending in `/`: https first; http only where that is allowed. */
  readonly bases: readonly string[]
  readonly insecure: boolean
  readonly mirror: boolean
}

/** The host that serves Docker Hub's registry. */
const hubHost = 'registry-1.docker.io'

export function endpointsOf(reference: Pick<Reference, 'domain'>, config: RegistryConfig, pull: boolean): Endpoint[] {
  if (reference.domain !== 'docker.io') return [endpointOf(reference.domain, config)]
  const mirrors = pull ? config.mirrors.map((mirror) => mirrorOf(mirror, config)) : []
  return [...mirrors, endpointOf(hubHost, config)]
}

export function endpointOf(host: string, config: RegistryConfig): Endpoint {
  const insecure = isInsecure(host, config.insecure)
  const bases = insecure ? [`https://${host}/`, `http://${host}/`] : [`https://${host}/`]
  return { bases, insecure, mirror: false }
}

function mirrorOf(mirror: string, config: RegistryConfig): Endpoint {
  const url = new URL(mirror)
  const base = `${url.origin}${url.pathname.replace(/\/*$/, '/')}`
  return { bases: [base], insecure: url.protocol === 'http:' || isInsecure(url.host, config.insecure), mirror: true }
}

const loopback = rangesOf(['127.0.0.0/8', '::1/128'])

function rangesOf(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address, bits] = range.split('/') as [string, string?]
    const family = isIP(address)
    if (family !== 0 && bits !== undefined) list.addSubnet(address, Number(bits), family === 6 ? 'ipv6' : 'ipv4')
  }
  return list
}

function isInsecure(host: string, insecure: readonly string[]): boolean {
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  if (name === 'localhost' || insecure.includes(host) || insecure.includes(name)) return true
  const family = isIP(name)
  if (family === 0) return false
  const kind = family === 6 ? 'ipv6' : 'ipv4'
  return loopback.check(name, kind) || rangesOf(insecure).check(name, kind)
}
