/** A route is a declaration: what it takes is checked before its handler runs. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import * as z from 'zod'
import type { Credentials } from '../kernel/file-rights.ffi.ts'
import type { Answer } from './answer.ts'
import type { ApiVersion } from './api-version.ts'
import type { Engine } from './engine.ts'

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'OPTIONS'

export type ApiRequest = {
  readonly version: ApiVersion
  readonly headers: IncomingHttpHeaders
  /** The body, for routes that say `body: 'raw'`. */
  readonly stream: Readable
  /** Who connected, by the kernel's word. */
  readonly peer: () => Credentials
  /** Aborted when the client has gone before its answer was complete. */
  readonly signal: AbortSignal
}

type Input<P, Q, B> = { readonly params: P; readonly query: Q; readonly body: B; readonly request: ApiRequest }

type Declaration<P, Q, B> = {
  readonly method: Method
  /** `{name}` matches one or more segments, as Docker's router does. */
  readonly path: string
  readonly params?: z.ZodType<P>
  readonly query?: z.ZodType<Q>
  /** A JSON document; `raw`: the handler reads the stream itself; absent: no body is looked at. */
  readonly body?: z.ZodType<B> | 'raw'
  /** The answer takes the connection over: its bytes are not HTTP from there on. */
  readonly takesOver?: boolean
  readonly handle: (engine: Engine, input: Input<P, Q, B>) => Answer | Promise<Answer>
}

/** A declaration with its types forgotten, as the router keeps them. */
export type Route = {
  readonly method: Method
  readonly path: string
  readonly takesOver: boolean
  readonly params: z.ZodType
  readonly query: z.ZodType
  readonly body: z.ZodType | 'raw' | undefined
  readonly handle: (engine: Engine, input: Input<never, never, never>) => Answer | Promise<Answer>
}

const nothing = z.object({})

export const route = <P = Record<never, never>, Q = Record<never, never>, B = undefined>(
  declaration: Declaration<P, Q, B>,
): Route => ({
  method: declaration.method,
  path: declaration.path,
  takesOver: declaration.takesOver ?? false,
  params: declaration.params ?? nothing,
  query: declaration.query ?? nothing,
  body: declaration.body,
  handle: declaration.handle as Route['handle'],
})
