/** Finds the route of a request. A pure function of the table: literal paths come before those with names in them. */
import { type MatchFunction, match } from 'path-to-regexp'
import { EngineError } from '../base/errors.ts'
import { invalid } from './errors.ts'
import type { Route } from './route.ts'

export type Found = { readonly route: Route; readonly params: Record<string, string> }

type Entry = { readonly route: Route; readonly matches: MatchFunction<Partial<Record<string, string | string[]>>> }

/** `{name}` is a wildcard over slashes: an image is called `registry.example/team/app:1`. */
const compile = (route: Route): Entry => ({
  route,
  matches: match(route.path.replace(/\{(\w+)\}/g, '*$1'), { sensitive: true }),
})

/** Far beyond any name. Patterns are tried one after another, and some of them have two names in one. */
const longestPath = 8192

const names = (route: Route): number => route.path.split('{').length

export class Router {
  readonly #entries: readonly Entry[]

  constructor(routes: readonly Route[]) {
    this.#entries = routes.toSorted((a, b) => names(a) - names(b) || b.path.length - a.path.length).map(compile)
  }

  /** not-found for an unknown path and for an unknown method alike, as dockerd answers. */
  find(method: string, path: string): Found {
    if (path.length > longestPath) throw invalid(`invalid path: more than ${longestPath} characters`)
    for (const { route, matches } of this.#entries) {
      if (route.method !== method) continue
      const found = this.#match(matches, path)
      if (found !== undefined) return { route, params: found }
    }
    throw new EngineError('not-found', 'page not found')
  }

  #match(matches: Entry['matches'], path: string): Record<string, string> | undefined {
    let result: ReturnType<Entry['matches']>
    try {
      result = matches(path)
    } catch (error) {
      throw invalid(`invalid percent-encoding in the path: ${path}`, error)
    }
    if (result === false) return undefined
    if (Object.values(result.params).some((value) => [value].flat().some((part) => part?.includes('\0'))))
      throw invalid('invalid path: a NUL character')
    return Object.fromEntries(
      Object.entries(result.params).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join('/') : (value ?? ''),
      ]),
    )
  }
}
