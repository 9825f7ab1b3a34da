/** What an engine's daemon and its spawner hold: memory, descriptors, threads; proc(5). */
import { readdirSync, readFileSync } from 'node:fs'
import type { TestEngine } from '../engine/engine.ts'

export type Holdings = { memory: number; descriptors: number; threads: number; processes: number }

const field = (pid: number, file: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))?.[1] ?? 0)

const children = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)

/** `memory` in KiB, without pages of files: whoever else runs the same program shares those. */
export function holdings(engine: TestEngine): Holdings {
  const pids = [engine.pid, ...children(engine.pid)]
  const sum = (of: (pid: number) => number): number => pids.reduce((total, pid) => total + of(pid), 0)
  return {
    memory: sum((pid) => field(pid, 'smaps_rollup', 'Pss_Anon')),
    descriptors: sum((pid) => readdirSync(`/proc/${pid}/fd`).length),
    threads: sum((pid) => field(pid, 'status', 'Threads')),
    processes: pids.length,
  }
}

export const shownHoldings = ({ memory, descriptors, threads, processes }: Holdings): string =>
  `${(memory / 1024).toFixed(1)} MiB, ${descriptors} descriptors, ${threads} threads, ${processes} processes`
