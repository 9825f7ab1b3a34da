import type { ContainerSummary } from '../../engine/api/contract/docker.ts'
import type { ImageSummary, Network, Volume } from '../../engine/api/contract/docker-store.ts'

/** What a command that was started from a tree item works on. */
export type Subject =
  | { kind: 'container'; container: ContainerSummary }
  | { kind: 'image'; image: ImageSummary; tag: string }
  | { kind: 'volume'; volume: Volume }
  | { kind: 'network'; network: Network }

/** A tree item as data. */
export type TreeNode = {
  /** Stable over the thing's life: no state in it, so that expansion and selection stay. */
  id: string
  label: string
  description?: string
  /** Lines of plain text. */
  tooltip?: string
  /** A codicon. */
  icon: string
  /** A theme colour. */
  color?: string
  /** Said by a screen reader; has the state in words. */
  spoken: string
  /** For `viewItem` in when clauses. */
  context: string
  subject?: Subject
  /** Run when it is picked. */
  command?: { id: string; title: string; arguments: unknown[] }
  children?: readonly TreeNode[]
  expanded?: boolean
}
