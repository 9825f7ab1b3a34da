import type { ChildProcess } from 'node:child_process'

export const serverMain: string
/** What `serverMain` is in, whole. */
export const serverTree: string
export function ensureCodeServer(log?: (line: string) => void): Promise<string>
/** Somebody who may not be able to read what this process has: `node` and `tree` are copies. */
export type ServerUser = { uid: number; gid: number; node: string; tree: string }
export type ServerOptions = {
  dataDirectory: string
  extensionsDirectory: string
  env?: Record<string, string>
  args?: readonly string[]
  port?: number
  /** What a browser has to know; without one anybody on this machine can use the server. */
  secret?: string
  /** Whose process it is; default: ours. */
  user?: ServerUser
}
export type Server = { child: ChildProcess; address: string; output(): string }
export function startServer(options: ServerOptions): Promise<Server>
export function stopServer(child: ChildProcess): Promise<void>
