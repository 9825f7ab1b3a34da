/**
 * Image references: grammar and normal form of Docker's reference package. `alpine` means
 * `docker.io/library/alpine:latest`; the user sees the familiar form, the store keeps the full one.
 */
import { EngineError } from '../base/errors.ts'

export type Reference = {
  /** Registry host with port, as written: `docker.io`, `localhost:5000`. */
  readonly domain: string
  /** `library/alpine`. */
  readonly path: string
  readonly tag?: string
  /** Wins over the tag where there are both. */
  readonly digest?: string
}

const defaultDomain = 'docker.io'
const officialPrefix = 'library/'

const domainPart = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const domainPattern = new RegExp(`^(?:${domainPart}(?:\\.${domainPart})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`)
const pathPart = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const pathPattern = new RegExp(`^${pathPart}(?:/${pathPart})*$`)
const tagPattern = /^\w[\w.-]{0,127}$/
const digestPattern = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/

/** Longest name, tag and digest together leave room to spare; what is longer never reaches a pattern. */
const longest = 1024

const malformed = (): EngineError => new EngineError('invalid', 'invalid reference format')

/** 64 hex digits alone: always an image id, never a repository. */
export const isBareId = (text: string): boolean => /^[a-f0-9]{64}$/.test(text)

/** Throws invalid, in Docker's words. The tag is not implied: see withDefaultTag. */
export function parseReference(text: string): Reference {
  if (isBareId(text))
    throw new EngineError('invalid', `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`)
  if (text.length > longest) throw malformed()
  const at = text.indexOf('@')
  const digest = at === -1 ? undefined : text.slice(at + 1)
  const { domain, rest } = splitDomain(at === -1 ? text : text.slice(0, at))
  const colon = rest.indexOf(':')
  const remote = colon === -1 ? rest : rest.slice(0, colon)
  const tag = colon === -1 ? undefined : rest.slice(colon + 1)
  const path = domain === defaultDomain && !remote.includes('/') && remote !== '' ? officialPrefix + remote : remote
  if (path.toLowerCase() !== path)
    throw new EngineError('invalid', `invalid reference format: repository name (${path}) must be lowercase`)
  if (tag !== undefined && !tagPattern.test(tag)) throw malformed()
  checkDigest(digest)
  return { ...repositoryOf(domain, path), ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) }
}

function repositoryOf(domain: string, path: string): { domain: string; path: string } {
  if (!domainPattern.test(domain) || !pathPattern.test(path)) throw malformed()
  if (path.length > 255)
    throw new EngineError('invalid', 'invalid reference format: repository name must not be more than 255 characters')
  return { domain, path }
}

function checkDigest(digest: string | undefined): void {
  if (digest === undefined) return
  if (!digestPattern.test(digest)) throw malformed()
  const [algorithm, hex] = digest.split(':') as [string, string]
  const length = { sha256: 64, sha384: 96, sha512: 128 }[algorithm]
  if (length === undefined) throw new EngineError('invalid', 'unsupported digest algorithm')
  if (hex.length !== length) throw new EngineError('invalid', 'invalid checksum digest length')
  if (!/^[0-9a-f]+$/.test(hex)) throw new EngineError('invalid', 'invalid checksum digest format')
}

function splitDomain(name: string): { domain: string; rest: string } {
  const slash = name.indexOf('/')
  const first = slash === -1 ? '' : name.slice(0, slash)
  const rest = slash === -1 ? name : name.slice(slash + 1)
  if (first === 'index.docker.io') return { domain: defaultDomain, rest }
  if (first === 'localhost' || /[.:]/.test(first) || first.toLowerCase() !== first) return { domain: first, rest }
  return { domain: defaultDomain, rest: name }
}

/** `latest` where there is neither tag nor digest. */
export const withDefaultTag = (reference: Reference): Reference =>
  reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: 'latest' } : reference

/** `docker.io/library/alpine`: the key of a repository in the store. */
export const repositoryName = (reference: Reference): string => `${reference.domain}/${reference.path}`

/** The name without `docker.io/` and `library/`, unless that would read as something else. */
export function familiarName(reference: Reference): string {
  if (reference.domain !== defaultDomain) return repositoryName(reference)
  const { path } = reference
  const short = path.slice(officialPrefix.length)
  return path.startsWith(officialPrefix) && !short.includes('/') ? short : path
}

const suffix = (reference: Reference): string =>
  (reference.tag === undefined ? '' : `:${reference.tag}`) +
  (reference.digest === undefined ? '' : `@${reference.digest}`)

/** What the user reads: `alpine:3.20`. */
export const familiar = (reference: Reference): string => familiarName(reference) + suffix(reference)

/** The full form, with tag and digest as far as given. */
export const canonical = (reference: Reference): string => repositoryName(reference) + suffix(reference)

/** Like parseReference, for a tag to be given: no digest allowed, `latest` implied. */
export function parseTag(text: string): Reference {
  const reference = withDefaultTag(parseReference(text))
  if (reference.digest !== undefined)
    throw new EngineError('invalid', 'refusing to create a tag with a digest reference')
  return reference
}
