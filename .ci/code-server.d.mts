import type { ChildProcess } from 'node:child_process'

export const serverMain: string
export function ensureCodeServer(log?: (line: string) => void): Promise<string>
export type ServerOptions = {
  dataDirectory: string
  extensionsDirectory: string
  env?: Record<string, string>
  args?: readonly string[]
  port?: number
  /** What a browser has to know; without one anybody on this machine can use the server. */
  secret?: string
}
export type Server = { child: ChildProcess; address: string; output(): string }
export function startServer(options: ServerOptions): Promise<Server>
export function stopServer(child: ChildProcess): Promise<void>
