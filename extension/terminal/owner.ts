import { readFileSync, readlinkSync } from 'node:fs'

export const ownerLabel = 'drydock.owner'

/**
 * Names a process for as long as this machine runs: its namespace of process numbers, its number there, and its start
 * in ticks since boot; proc_pid_stat(5), field 22. Undefined where there is no such process.
 */
export function processName(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is a command in parentheses that may hold anything, so fields are counted from its end.
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    return `${readlinkSync('/proc/self/ns/pid')}/${pid}/${started}`
  } catch {
    return undefined
  }
}

/** The label that says whose terminal a container lives with. */
export function ownerLabels(): Record<string, string> {
  const name = processName(process.pid)
  return name === undefined ? {} : { [ownerLabel]: name }
}

/** True only for a process of this namespace that has ended; of others nothing can be known. */
export function isOrphan(labels: Record<string, string> | null | undefined): boolean {
  const [, namespace, pid] = /^(.+)\/(\d+)\/\d+$/.exec(labels?.[ownerLabel] ?? '') ?? []
  if (namespace === undefined) return false
  return (
    processName(process.pid)?.startsWith(`${namespace}/`) === true && processName(Number(pid)) !== labels?.[ownerLabel]
  )
}
