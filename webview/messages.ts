/** What the details page and the extension say to each other. Sizes in bytes, times in milliseconds, unless said. */

export const tabs = ['overview', 'limits', 'namespaces', 'trace'] as const
export type Tab = (typeof tabs)[number]

export const actions = [
  'start',
  'stop',
  'restart',
  'pause',
  'unpause',
  'shell',
  'logs',
  'inspect',
  'browse',
  'remove',
] as const
export type Action = (typeof actions)[number]

export type Overview = {
  id: string
  name: string
  /** In words: running, exited with code 1 … */
  state: string
  running: boolean
  /** It runs, and is frozen. */
  paused: boolean
  published: boolean
  facts: { name: string; value: string }[]
  environment: { name: string; value: string }[]
  mounts: { source: string; target: string; kind: string; access: string }[]
  limits: LimitTexts
}

/** The limits as a person writes them; empty is none. */
export type LimitTexts = { memory: string; cpus: string; pids: string }
export type LimitField = keyof LimitTexts

/** One second of a container's life. Null: the kernel does not tell, or there is no limit. */
export type Point = {
  /** Since the epoch. */
  time: number
  memory: number
  memoryLimit: number | null
  memoryPeak: number | null
  /** Processors in use, e.g. 0.5. */
  cpu: number
  cpuLimit: number | null
  /** Share of the periods in which it had to wait for its quota, 0 to 1. */
  throttled: number
  pids: number
  pidsLimit: number | null
  /** Bytes a second. */
  read: number
  write: number
  /** Percent of the last ten seconds in which some process waited. */
  pressure: { cpu: number | null; memory: number | null; io: number | null } | null
  oomKills: number
  /** How often memory ran against its limit. */
  failures: number
}

export type NamespaceRow = {
  kind: string
  meaning: string
  id: number
  host: boolean
  /** Processes in it, at most 50. */
  members: { pid: number; command: string; container: string | null }[]
  memberCount: number
  /** Other containers in it. */
  shared: string[]
}

export type SpanRow = { layer: string; name: string; depth: number; start: number; duration: number }

export type ToPage =
  | { type: 'overview'; overview: Overview }
  | { type: 'points'; points: Point[] }
  | { type: 'point'; point: Point }
  | { type: 'namespaces'; rows: NamespaceRow[] }
  | { type: 'trace'; rows: SpanRow[]; total: number }
  | { type: 'limits-saved'; warnings: string[] }
  | { type: 'limits-refused'; field: LimitField | null; sentence: string }
  | { type: 'failed'; tab: Tab; sentence: string }
  | { type: 'gone' }

export type FromPage =
  | { type: 'ready'; tab: Tab }
  | { type: 'tab'; tab: Tab }
  | { type: 'set-limits'; limits: LimitTexts }
  | { type: 'action'; action: Action }

/** What the page keeps over a reload. */
export type PageState = { id: string; name: string; tab: Tab }

const isText = (value: unknown): value is string => typeof value === 'string' && value.length < 200
const isTab = (value: unknown): value is Tab => tabs.some((tab) => tab === value)

/** Checks what came out of the page; null for anything that is none of its messages. */
export function parseFromPage(value: unknown): FromPage | null {
  if (typeof value !== 'object' || value === null) return null
  const message = value as Record<string, unknown>
  if ((message.type === 'ready' || message.type === 'tab') && isTab(message.tab))
    return { type: message.type, tab: message.tab }
  const action = actions.find((candidate) => candidate === message.action)
  if (message.type === 'action' && action) return { type: 'action', action }
  if (message.type !== 'set-limits' || typeof message.limits !== 'object' || message.limits === null) return null
  const { memory, cpus, pids } = message.limits as Record<string, unknown>
  return isText(memory) && isText(cpus) && isText(pids) ? { type: 'set-limits', limits: { memory, cpus, pids } } : null
}
