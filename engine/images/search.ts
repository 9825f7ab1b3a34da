/**
 * Looks for repositories at an index: `GET /v1/search`, the interface of Docker Hub, which a registry of one's own may have,
 * too. It is older than the distribution-spec, which has none.
 */
import * as z from 'zod'
import { EngineError } from '../base/errors.ts'
import { parseJson } from './bounded-json.ts'
import type { RegistryAuth, SearchHit } from './image.ts'
import type { RegistrySession } from './registry-client.ts'
import { endpointOf } from './registry-config.ts'
import { RegistryError } from './registry-errors.ts'
import { readBody, type WireRequest } from './registry-transport.ts'

/** Docker Hub's own. */
const officialIndex = 'index.docker.io'
const usualLimit = 25
const largestLimit = 100
const largestAnswer = 4 * 1024 * 1024

const answer = z.object({
  results: z
    .array(
      z.object({
        name: z.string(),
        description: z.string().nullish(),
        star_count: z.number().int().nullish(),
        is_official: z.boolean().nullish(),
      }),
    )
    .nullish(),
})

/** `host/term` asks that host; a term alone, and one of the Hub's accounts, the Hub. */
export function splitTerm(text: string): { index: string; term: string } {
  const at = text.indexOf('/')
  const first = at < 0 ? '' : text.slice(0, at)
  if (text.includes('://')) throw new EngineError('invalid', `invalid repository name (${text})`)
  if (first === 'docker.io' || first === officialIndex)
    return { index: officialIndex, term: text.slice(at + 1).replace(/^library\//, '') }
  if (first === 'localhost' || /[.:]/.test(first)) return { index: first, term: text.slice(at + 1) }
  return { index: officialIndex, term: text.replace(/^library\//, '') }
}

export type SearchOptions = { limit?: number; auth?: RegistryAuth; signal?: AbortSignal }

/** Best first, as the index has it. invalid for a limit out of range; internal where the index does not answer. */
export async function searchIndex(
  session: RegistrySession,
  text: string,
  { limit = usualLimit, auth, signal }: SearchOptions,
): Promise<SearchHit[]> {
  if (limit < 1 || limit > largestLimit)
    throw new EngineError('invalid', `limit ${limit} is outside the range of [1, ${largestLimit}]`)
  const { index, term } = splitTerm(text)
  if (!URL.canParse(`https://${index}/`)) throw new EngineError('invalid', `invalid index name (${index})`)
  const { bases, insecure } = endpointOf(index, session.config)
  const headers: Record<string, string> = { 'x-docker-token': 'true' }
  if (auth?.username) headers.authorization = `Basic ${btoa(`${auth.username}:${auth.password ?? ''}`)}`
  let failure: unknown
  for (const base of bases)
    try {
      const url = new URL('v1/search', base)
      url.search = new URLSearchParams({ q: term, n: String(limit) }).toString()
      return await ask(session, { method: 'GET', url, headers, insecure, signal })
    } catch (error) {
      signal?.throwIfAborted()
      failure = error
    }
  throw failure
}

async function ask(session: RegistrySession, wire: WireRequest): Promise<SearchHit[]> {
  const response = await session.transport.send(wire).catch((error: unknown) => {
    if (!(error instanceof RegistryError)) throw error
    // With what was asked for, as dockerd's client names its requests.
    throw new EngineError('internal', `Get "${wire.url.href}": ${error.reason}`, { cause: error })
  })
  if (response.statusCode !== 200) {
    await response.body.dump()
    throw new EngineError('internal', `Unexpected status code ${response.statusCode}`)
  }
  const parsed = answer.safeParse(parseJson(await readBody(wire, response, largestAnswer), "the index's answer"))
  if (!parsed.success)
    throw new EngineError('internal', `error decoding registry search results: ${parsed.error.issues[0]?.message}`)
  return (parsed.data.results ?? []).map((found) => ({
    name: found.name,
    description: found.description ?? '',
    stars: found.star_count ?? 0,
    official: found.is_official ?? false,
  }))
}
