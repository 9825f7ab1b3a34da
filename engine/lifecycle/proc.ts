/** One process from /proc; proc_pid_stat(5), proc_pid_status(5), proc_pid_cmdline(5). */
import { readFileSync } from 'node:fs'
import { isErrno } from '../kernel/libc.ffi.ts'

export type ProcessInfo = {
  pid: number
  ppid: number
  pgid: number
  sid: number
  uid: number
  gid: number
  /** A letter: R, S, D, Z, T … */
  state: string
  command: string
  /** With its arguments; in brackets where it has none to show. */
  commandLine: string
  terminal: number
  nice: number
  threads: number
  /** Seconds of processor time. */
  cpuSeconds: number
  /** Milliseconds since the epoch. */
  started: number
  /** Bytes. */
  virtualSize: number
  residentSize: number
  /** Of the machine's memory. */
  memoryShare: number
}

/** USER_HZ: 100 on every Linux that runs Node; sysconf(3) _SC_CLK_TCK. */
const ticksPerSecond = 100
const pageSize = 4096

const read = (pid: number, file: string): string => readFileSync(`/proc/${pid}/${file}`, 'utf8')

let boot: number | undefined
function bootTime(): number {
  boot ??= Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]) * 1000
  return boot
}

let memory: number | undefined
function memoryTotal(): number {
  memory ??= Number(/^MemTotal:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024
  return memory
}

/** Undefined when there is no such process (any more). */
export function readProcess(pid: number): ProcessInfo | undefined {
  try {
    return parse(pid, read(pid, 'stat'), read(pid, 'status'), read(pid, 'cmdline'))
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH')) return undefined
    throw error
  }
}

function parse(pid: number, stat: string, status: string, cmdline: string): ProcessInfo {
  // The name is in parentheses and may hold some itself: the last one ends it.
  const nameEnd = stat.lastIndexOf(')')
  const command = stat.slice(stat.indexOf('(') + 1, nameEnd)
  const fields = stat.slice(nameEnd + 2).split(' ')
  const number = (index: number): number => Number(fields[index - 3] ?? 0)
  const id = (name: string): number => Number(new RegExp(`^${name}:\\t\\d+\\t(\\d+)`, 'm').exec(status)?.[1] ?? 0)
  const residentSize = number(24) * pageSize
  return {
    pid,
    ppid: number(4),
    pgid: number(5),
    sid: number(6),
    uid: id('Uid'),
    gid: id('Gid'),
    state: fields[0] ?? '?',
    command,
    commandLine: cmdline === '' ? `[${command}]` : cmdline.replace(/\0+$/, '').replaceAll('\0', ' '),
    terminal: number(7),
    nice: number(19),
    threads: number(20),
    cpuSeconds: (number(14) + number(15)) / ticksPerSecond,
    started: bootTime() + (number(22) * 1000) / ticksPerSecond,
    virtualSize: number(23),
    residentSize,
    memoryShare: residentSize / memoryTotal(),
  }
}
