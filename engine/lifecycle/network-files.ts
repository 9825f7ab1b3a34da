/**
 * /etc/hosts, /etc/hostname and /etc/resolv.conf of a container, and what its resolver works by. The three are bound into
 * the container one by one: written over, never replaced; wire facts 146–149.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync, readSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Endpoint } from '../network/network.ts'
import { type ResolverConfig, resolverConfigName } from '../resolver/resolver-config.ts'
import type { Container } from './container.ts'
import { hostnameOf } from './container-process.ts'
import { bundleDirectory, type Engine } from './engine.ts'
import { linkHosts } from './links.ts'
import { networkMode } from './network-setup.ts'

/** Those of another container's network are that one's to write. */
const ownsFiles = (container: Container): boolean => networkMode(container).kind !== 'container'

function filesOf(engine: Engine, container: Container, endpoints: Endpoint[]) {
  const { hostConfig, config } = container
  return engine.networks.files({
    hostname: hostnameOf(container),
    domainname: config.Domainname ?? '',
    endpoints,
    links: linkHosts(engine, container),
    extraHosts: hostConfig.ExtraHosts ?? [],
    dns: hostConfig.Dns ?? [],
    dnsSearch: hostConfig.DnsSearch ?? [],
    dnsOptions: hostConfig.DnsOptions ?? [],
    hostNetwork: networkMode(container).kind === 'host',
  })
}

/** For a start: whatever was in them before is over. True: the container has names served to it. */
export function writeNetworkFiles(engine: Engine, container: Container, endpoints: Endpoint[]): boolean {
  if (!ownsFiles(container)) return false
  const files = filesOf(engine, container, endpoints)
  writeFileSync(container.hostsPath, files.hosts, { mode: 0o644 })
  writeFileSync(container.hostnamePath, files.hostname, { mode: 0o644 })
  writeResolvConf(container, files.resolvConf)
  writeResolverConfig(bundleDirectory(engine, container.id), files.resolver)
  return files.resolver !== undefined
}

/**
 * For a container whose networks or links changed while it runs. What somebody else wrote into the files stays: of
 * /etc/hosts the lines that are ours come and go, and a changed /etc/resolv.conf is left alone.
 */
export async function updateNetworkFiles(engine: Engine, container: Container, before: string): Promise<void> {
  if (!ownsFiles(container)) return
  const files = filesOf(engine, container, container.endpoints)
  const hosts = mergeLines(readSome(container.hostsPath), before, files.hosts)
  writeFileSync(container.hostsPath, hosts, { mode: 0o644 })
  const untouched = hashOf(readSome(container.resolvConfPath)) === readHash(container)
  if (untouched) writeResolvConf(container, files.resolvConf)
  writeResolverConfig(bundleDirectory(engine, container.id), files.resolver)
  if (files.resolver !== undefined) await engine.shims.get(container.id)?.serveNames()
}

/** What /etc/hosts would be now: for `updateNetworkFiles`, taken before the change. */
export const hostsOf = (engine: Engine, container: Container): string =>
  ownsFiles(container) ? filesOf(engine, container, container.endpoints).hosts : ''

/** Links may lead to other addresses than when the file was written: their old lines go, whatever they say now comes. */
export function refreshHosts(engine: Engine, container: Container): void {
  const wanted = hostsOf(engine, container)
  const current = readSome(container.hostsPath)
  const aliases = new Set(linkHosts(engine, container).map(({ names }) => names[0]))
  const isLink = (line: string): boolean => aliases.has(line.split('\t')[1]?.split(' ')[0])
  const stale = current.split('\n').filter(isLink)
  const lasting = wanted.split('\n').filter((line) => !isLink(line))
  writeFileSync(container.hostsPath, mergeLines(current, [...stale, ...lasting].join('\n'), wanted), { mode: 0o644 })
}

/** `text` without the lines that only `before` has, and with those that only `after` has. Pure. */
export function mergeLines(text: string, before: string, after: string): string {
  const lines = (whole: string): string[] => whole.split('\n').filter((line) => line !== '')
  const [old, wanted] = [new Set(lines(before)), new Set(lines(after))]
  const kept = lines(text).filter((line) => wanted.has(line) || !old.has(line))
  // A line of ours that somebody took out stays out.
  const added = [...wanted].filter((line) => !old.has(line) && !kept.includes(line))
  return [...kept, ...added].map((line) => `${line}\n`).join('')
}

/** The container may write what it likes into these files. */
const longestFile = 1 << 20

function readSome(path: string): string {
  const fd = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(longestFile)
    return bytes.toString('utf8', 0, readSync(fd, bytes))
  } finally {
    closeSync(fd)
  }
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex')
const hashPath = ({ resolvConfPath }: Container): string => `${resolvConfPath}.hash`

function readHash(container: Container): string {
  try {
    return readFileSync(hashPath(container), 'utf8')
  } catch {
    // Never written: then the file is not known to be ours.
    return ''
  }
}

function writeResolvConf(container: Container, text: string): void {
  writeFileSync(container.resolvConfPath, text, { mode: 0o644 })
  writeFileSync(hashPath(container), hashOf(text), { mode: 0o644 })
}

/** Replaced by a rename: the shim reads it at any moment. A container whose names are served keeps its resolver. */
function writeResolverConfig(directory: string, config: ResolverConfig | undefined): void {
  if (config === undefined) return
  const path = join(directory, resolverConfigName)
  writeFileSync(`${path}.new`, JSON.stringify(config), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
