/** One repository of one registry: the pull half of distribution-spec 1.1, and the requests that the push half is made of. */
import type { Dispatcher } from 'undici'
import * as z from 'zod'
import { EngineError } from '../base/errors.ts'
import { parseJson } from './bounded-json.ts'
import { type Digest, isDigest, sha256 } from './digest.ts'
import type { RegistryAuth } from './image.ts'
import { manifestLimit } from './manifest.ts'
import { indexTypes, manifestTypes, oldManifestTypes } from './media-types.table.ts'
import { Authorizer, type Challenge, parseChallenges } from './registry-auth.ts'
import type { Endpoint, RegistryConfig } from './registry-config.ts'
import { RegistryError } from './registry-errors.ts'
import { retrying } from './registry-retry.ts'
import {
  expectStatus,
  readBody,
  requestName,
  Transport,
  type WireRequest,
  type WireResponse,
} from './registry-transport.ts'

type Reached = { base: string; challenges: readonly Challenge[] }

/** What all clients share: connections, tokens, and what each registry answered when it was first spoken to. */
export class RegistrySession implements AsyncDisposable {
  readonly config: RegistryConfig
  readonly transport: Transport
  readonly authorizer: Authorizer
  readonly #reached = new Map<string, Reached>()

  constructor(config: RegistryConfig) {
    this.config = config
    this.transport = new Transport(config)
    this.authorizer = new Authorizer(this.transport)
  }

  /**
   * Finds out by `GET /v2/` which base URL answers and what credentials it wants; known after the first time.
   * unavailable, in the words of the last base tried.
   */
  async reach(endpoint: Endpoint, signal?: AbortSignal): Promise<Reached> {
    const key = endpoint.bases.join(' ')
    const known = this.#reached.get(key)
    if (known !== undefined) return known
    let last: unknown
    for (const base of endpoint.bases)
      try {
        const reached = await retrying(this.config, signal, () => this.#ping(base, endpoint, signal))
        this.#reached.set(key, reached)
        return reached
      } catch (error) {
        signal?.throwIfAborted()
        last = error
      }
    throw last
  }

  async #ping(base: string, endpoint: Endpoint, signal: AbortSignal | undefined): Promise<Reached> {
    const wire: WireRequest = { method: 'GET', url: new URL('v2/', base), signal, insecure: endpoint.insecure }
    const response = await this.transport.send(wire)
    // Some registries hide the ping from strangers, and answer for repositories all the same.
    await expectStatus(wire, response, [200, 401, 403, 404])
    await response.body.dump()
    const asked = response.statusCode === 401 ? response.headers['www-authenticate'] : undefined
    return { base, challenges: parseChallenges(asked) }
  }

  /** Checks credentials: `POST /auth`. unauthorized when the registry refuses them. */
  async login(endpoint: Endpoint, auth: RegistryAuth, signal?: AbortSignal): Promise<void> {
    const { base, challenges } = await this.reach(endpoint, signal)
    const wire: WireRequest = { method: 'GET', url: new URL('v2/', base), signal, insecure: endpoint.insecure }
    const context = { request: requestName(wire), insecure: endpoint.insecure, fresh: true, signal }
    const authorization = await this.authorizer.header(challenges, auth, [], context)
    if (authorization !== undefined) wire.headers = { authorization }
    const response = await this.transport.send(wire)
    await expectStatus(wire, response, [200])
    await response.body.dump()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.transport[Symbol.asyncDispose]()
  }
}

export type Call = {
  method: WireRequest['method']
  /** Below the repository (`manifests/latest`), or an absolute URL that the registry gave. */
  path: string | URL
  expect: readonly number[]
  headers?: Record<string, string>
  /** Made anew for every try. */
  body?: () => Dispatcher.DispatchOptions['body']
  /** Further repositories to be read, for a mount. */
  alsoPull?: readonly string[]
  signal?: AbortSignal | undefined
}

const accepted = [...manifestTypes, ...indexTypes, ...oldManifestTypes].join(', ')

const tagsSchema = z.object({ tags: z.array(z.string()).nullish() })
const tagsLimit = 16 * 1024 * 1024

export class RegistryClient {
  readonly session: RegistrySession
  readonly endpoint: Endpoint
  readonly #repository: string
  readonly #auth: RegistryAuth | undefined
  readonly #actions: string

  /** @param actions `pull` or `pull,push`: the scope that tokens are asked for */
  constructor(
    session: RegistrySession,
    endpoint: Endpoint,
    repository: string,
    auth: RegistryAuth | undefined,
    actions: 'pull' | 'pull,push',
  ) {
    this.session = session
    this.endpoint = endpoint
    this.#repository = repository
    this.#auth = endpoint.mirror ? undefined : auth
    this.#actions = actions
  }

  /** One exchange, authorised; a refused token is renewed once. RegistryError for every status not expected. */
  async exchange(call: Call): Promise<{ wire: WireRequest; response: WireResponse }> {
    const { base, challenges } = await this.session.reach(this.endpoint, call.signal)
    const url = call.path instanceof URL ? call.path : new URL(`v2/${this.#repository}/${call.path}`, base)
    const first = await this.#attempt(call, url, base, challenges, false)
    if (first.response.statusCode !== 401 || call.expect.includes(401)) return await settled(first, call)
    const asked = parseChallenges(first.response.headers['www-authenticate'])
    if (asked.length === 0 || this.#auth?.registrytoken) return await settled(first, call)
    await first.response.body.dump()
    return await settled(await this.#attempt(call, url, base, asked, true), call)
  }

  async #attempt(call: Call, url: URL, base: string, challenges: readonly Challenge[], fresh: boolean) {
    const wire: WireRequest = {
      method: call.method,
      url,
      insecure: this.endpoint.insecure,
      signal: call.signal,
      headers: { ...call.headers },
    }
    // An upload may be led to another host, which must not see what is meant for this one.
    if (url.origin === new URL(base).origin) {
      const scopes = [
        `repository:${this.#repository}:${this.#actions}`,
        ...(call.alsoPull ?? []).map((path) => `repository:${path}:pull`),
      ]
      const context = { request: requestName(wire), insecure: this.endpoint.insecure, fresh, signal: call.signal }
      const authorization = await this.session.authorizer.header(challenges, this.#auth, scopes, context)
      if (authorization !== undefined) wire.headers = { ...wire.headers, authorization }
    }
    const body = call.body?.()
    if (body !== undefined) wire.body = body
    return { wire, response: await this.session.transport.send(wire) }
  }

  /** `exchange`, tried again when that may help. */
  async call(call: Call): Promise<{ wire: WireRequest; response: WireResponse }> {
    return await retrying(this.session.config, call.signal, () => this.exchange(call))
  }

  /** By tag or digest; verified against the digest asked for, or the one the registry announces. invalid if it differs. */
  async manifest(
    tagOrDigest: string,
    signal?: AbortSignal,
  ): Promise<{ bytes: Buffer; digest: Digest; mediaType: string }> {
    return await retrying(this.session.config, signal, async () => {
      const { wire, response } = await this.exchange({
        method: 'GET',
        path: `manifests/${tagOrDigest}`,
        headers: { accept: accepted },
        expect: [200],
        signal,
      })
      const bytes = await readBody(wire, response, manifestLimit)
      const digest = sha256(bytes)
      const promised = isDigest(tagOrDigest) ? tagOrDigest : response.headers['docker-content-digest']
      if (typeof promised === 'string' && isDigest(promised) && promised !== digest)
        throw new EngineError(
          'invalid',
          `manifest verification failed for digest ${promised}: the registry sent ${digest}`,
        )
      return { bytes, digest, mediaType: contentType(response) }
    })
  }

  /** What a tag stands for, without counting as a pull at registries that count; undefined if there is no such tag. */
  async headManifest(tagOrDigest: string, signal?: AbortSignal): Promise<Digest | undefined> {
    const { response } = await this.call({
      method: 'HEAD',
      path: `manifests/${tagOrDigest}`,
      headers: { accept: accepted },
      expect: [200, 404],
      signal,
    })
    await response.body.dump()
    const digest = response.headers['docker-content-digest']
    return response.statusCode === 200 && typeof digest === 'string' && isDigest(digest) ? digest : undefined
  }

  /** All tags, over all pages. */
  async tags(signal?: AbortSignal): Promise<string[]> {
    const tags: string[] = []
    let path: string | URL | undefined = 'tags/list'
    for (let page = 0; path !== undefined && page < 1000; page++) {
      const { wire, response } = await this.call({ method: 'GET', path, expect: [200], signal })
      const json = parseJson(await readBody(wire, response, tagsLimit), 'the list of tags')
      tags.push(...(tagsSchema.safeParse(json).data?.tags ?? []))
      path = nextPage(response)
    }
    return tags
  }

  /** From `offset` on, if the registry can; 206 says that it did, 416 that there is no more. Not retried: the caller resumes. */
  async blob(
    digest: Digest,
    offset: number,
    signal?: AbortSignal,
  ): Promise<{ wire: WireRequest; response: WireResponse }> {
    return await this.exchange({
      method: 'GET',
      path: `blobs/${digest}`,
      expect: offset > 0 ? [200, 206, 416] : [200],
      ...(offset > 0 && { headers: { range: `bytes=${offset}-` } }),
      signal,
    })
  }

  async hasBlob(digest: Digest, signal?: AbortSignal): Promise<boolean> {
    const { response } = await this.call({ method: 'HEAD', path: `blobs/${digest}`, expect: [200, 404], signal })
    await response.body.dump()
    return response.statusCode === 200
  }
}

async function settled(answer: { wire: WireRequest; response: WireResponse }, call: Call): Promise<typeof answer> {
  await expectStatus(answer.wire, answer.response, call.expect)
  return answer
}

function contentType(response: WireResponse): string {
  const type = response.headers['content-type']
  return String(type ?? '')
    .split(';')[0]!
    .trim()
}

/** RFC 8288: `Link: </v2/x/tags/list?n=…>; rel="next"`. Only on the same origin: the token goes along. */
function nextPage(response: WireResponse): URL | undefined {
  const link = /^\s*<([^>]*)>[^,]*\brel="?next"?/.exec(String(response.headers.link ?? ''))?.[1]
  const url = link !== undefined && URL.canParse(link, response.url) ? new URL(link, response.url) : undefined
  if (url !== undefined && url.origin !== response.url.origin)
    throw new RegistryError('unavailable', `Get "${response.url.href}"`, 'the list of tags goes on at another host')
  return url
}
