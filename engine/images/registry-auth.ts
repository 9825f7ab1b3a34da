/**
 * Who we are to a registry: Basic (RFC 7617) or a Bearer token from the realm that the registry names
 * (distribution's token authentication). Tokens are kept per credentials and scope until shortly before they expire.
 */
import { createHash } from 'node:crypto'
import * as z from 'zod'
import { parseJson } from './bounded-json.ts'
import type { RegistryAuth } from './image.ts'
import { RegistryError } from './registry-errors.ts'
import { expectStatus, readBody, requestName, type Transport, type WireRequest } from './registry-transport.ts'

/** From WWW-Authenticate; scheme in lower case. RFC 9110 section 11.6.1. */
export type Challenge = { scheme: string; parameters: Record<string, string> }

/** What cannot be read is left out. */
export function parseChallenges(header: string | string[] | undefined): Challenge[] {
  const challenges: Challenge[] = []
  const text = (Array.isArray(header) ? header.join(', ') : (header ?? '')).slice(0, 8192)
  const token = /\s*,?\s*([A-Za-z][\w-]*)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|(?=\s|,|$))/y
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [, name, quoted, plain] = match as unknown as [string, string, string?, string?]
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain
    if (value === undefined) challenges.push({ scheme: name.toLowerCase(), parameters: {} })
    else if (challenges.length === 0) break
    else challenges.at(-1)!.parameters[name.toLowerCase()] = value
  }
  return challenges
}

const tokenSchema = z.object({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().positive().optional(),
})

const tokenLimit = 1024 * 1024
/** RFC 6750 section 2.1. */
const tokenPattern = /^[\w.~+/=-]+$/

type Kept = { header: string; until: number }

export class Authorizer {
  readonly #transport: Transport
  readonly #tokens = new Map<string, Kept>()

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /**
   * The Authorization header for the challenges; undefined when none is asked for. unauthorized when what is asked for
   * cannot be given. With `fresh` a kept token is not good enough: the registry has just refused it.
   */
  async header(
    challenges: readonly Challenge[],
    auth: RegistryAuth | undefined,
    scopes: readonly string[],
    context: { request: string; insecure: boolean; fresh: boolean; signal: AbortSignal | undefined },
  ): Promise<string | undefined> {
    if (auth?.registrytoken) return `Bearer ${auth.registrytoken}`
    const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.realm !== undefined)
    if (bearer !== undefined) return await this.#bearer(bearer.parameters, auth, scopes, context)
    if (!challenges.some(({ scheme }) => scheme === 'basic')) return undefined
    const basic = basicOf(auth)
    if (basic === undefined) throw new RegistryError('unauthorized', context.request, 'no basic auth credentials')
    return basic
  }

  async #bearer(
    { realm = '', service, scope }: Record<string, string>,
    auth: RegistryAuth | undefined,
    scopes: readonly string[],
    context: { request: string; insecure: boolean; fresh: boolean; signal: AbortSignal | undefined },
  ): Promise<string> {
    const wanted = scopes.length > 0 ? scopes : scope === undefined ? [] : [scope]
    const key = createHash('sha256')
      .update(JSON.stringify([realm, service, wanted, auth?.username, auth?.password, auth?.identitytoken]))
      .digest('hex')
    const known = this.#tokens.get(key)
    if (!context.fresh && known !== undefined && known.until > Date.now()) return known.header
    const wire = tokenRequest(realm, service, wanted, auth, context)
    const response = await this.#transport.send(wire)
    await expectStatus(wire, response, [200])
    const answer = tokenSchema.safeParse(parseJson(await readBody(wire, response, tokenLimit), 'the token answer'))
    const token = answer.data?.token || answer.data?.access_token
    if (token === undefined || !tokenPattern.test(token))
      throw new RegistryError(
        'unauthorized',
        requestName(wire),
        'authorization server did not include a token in the response',
      )
    // Sixty seconds is what a token without a date lives at least; a tenth is left for the request to arrive.
    const kept = { header: `Bearer ${token}`, until: Date.now() + Math.max(60, answer.data?.expires_in ?? 60) * 900 }
    for (const [old, { until }] of this.#tokens) if (until <= Date.now()) this.#tokens.delete(old)
    this.#tokens.set(key, kept)
    return kept.header
  }
}

function tokenRequest(
  realm: string,
  service: string | undefined,
  scopes: readonly string[],
  auth: RegistryAuth | undefined,
  context: { request: string; insecure: boolean; signal: AbortSignal | undefined },
): WireRequest {
  const url = URL.canParse(realm) ? new URL(realm) : undefined
  const safe = url?.protocol === 'https:' || (url?.protocol === 'http:' && context.insecure)
  if (url === undefined || !safe)
    throw new RegistryError('unauthorized', context.request, 'the registry names no safe address to get a token from')
  const common = { url, signal: context.signal, insecure: context.insecure }
  if (auth?.identitytoken) {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: 'drydock',
      refresh_token: auth.identitytoken,
    })
    if (service !== undefined) form.set('service', service)
    if (scopes.length > 0) form.set('scope', scopes.join(' '))
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return { ...common, method: 'POST', headers, body: form.toString() }
  }
  if (service !== undefined) url.searchParams.append('service', service)
  for (const scope of scopes) url.searchParams.append('scope', scope)
  const basic = basicOf(auth)
  if (basic !== undefined) url.searchParams.append('account', auth?.username ?? '')
  return { ...common, method: 'GET', headers: basic === undefined ? {} : { authorization: basic } }
}

function basicOf(auth: RegistryAuth | undefined): string | undefined {
  if (!auth?.username && !auth?.password) return undefined
  return `Basic ${Buffer.from(`${auth.username ?? ''}:${auth.password ?? ''}`).toString('base64')}`
}
