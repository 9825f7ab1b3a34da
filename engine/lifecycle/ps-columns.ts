/** The columns of ps(1): those of `-ef`, `aux`, and of `-o`. Pure but for the machine's user names and the clock. */
import { readFileSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import type { ProcessInfo } from './proc.ts'
import { parsePasswd } from './user.ts'

export type Column = { title: string; show: (process: ProcessInfo) => string }

const two = (value: number): string => String(Math.trunc(value)).padStart(2, '0')

/** `HH:MM:SS` of processor time. */
const longTime = ({ cpuSeconds: s }: ProcessInfo): string => `${two(s / 3600)}:${two((s / 60) % 60)}:${two(s % 60)}`
/** `M:SS`, as `aux` has it. */
const shortTime = ({ cpuSeconds: s }: ProcessInfo): string => `${Math.trunc(s / 60)}:${two(s % 60)}`

const elapsed = ({ started }: ProcessInfo): number => Math.max(1, (Date.now() - started) / 1000)

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** The time of day, or the day when it is not today's. */
function startTime({ started }: ProcessInfo): string {
  const then = new Date(started)
  if (then.toDateString() === new Date().toDateString()) return `${two(then.getHours())}:${two(then.getMinutes())}`
  return `${months[then.getMonth()]}${two(then.getDate())}`
}

function elapsedText(process: ProcessInfo): string {
  const s = elapsed(process)
  const days = s >= 86400 ? `${Math.trunc(s / 86400)}-` : ''
  const hours = s >= 3600 ? `${two((s / 3600) % 24)}:` : ''
  return `${days}${hours}${two((s / 60) % 60)}:${two(s % 60)}`
}

/** tty_nr as tty(4) names it: the kernel's numbers of pts and of the console's terminals. */
function terminalName({ terminal }: ProcessInfo): string {
  if (terminal === 0) return '?'
  const major = (terminal >> 8) & 0xfff
  const minor = (terminal & 0xff) | ((terminal >> 12) & 0xfff00)
  return major >= 136 && major <= 143 ? `pts/${(major - 136) * 256 + minor}` : `tty${minor}`
}

/** By the machine's own users, as ps on the host shows them. */
function userName({ uid }: ProcessInfo): string {
  return machineUsers().get(uid) ?? String(uid)
}

let users: Map<number, string> | undefined
function machineUsers(): Map<number, string> {
  users ??= new Map(parsePasswd(readOr('/etc/passwd')).map(({ uid, name }) => [uid, name]))
  return users
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return ''
    throw error
  }
}

const percent = (share: number): string => (share * 100).toFixed(1)
const kib = (bytes: number): string => String(Math.trunc(bytes / 1024))

const columns: Readonly<Record<string, Column>> = {
  uid: { title: 'UID', show: (p) => String(p.uid) },
  user: { title: 'USER', show: userName },
  gid: { title: 'GID', show: (p) => String(p.gid) },
  pid: { title: 'PID', show: (p) => String(p.pid) },
  ppid: { title: 'PPID', show: (p) => String(p.ppid) },
  pgid: { title: 'PGID', show: (p) => String(p.pgid) },
  sid: { title: 'SID', show: (p) => String(p.sid) },
  c: { title: 'C', show: (p) => String(Math.trunc((p.cpuSeconds / elapsed(p)) * 100)) },
  pcpu: { title: '%CPU', show: (p) => percent(p.cpuSeconds / elapsed(p)) },
  pmem: { title: '%MEM', show: (p) => percent(p.memoryShare) },
  vsz: { title: 'VSZ', show: (p) => kib(p.virtualSize) },
  rss: { title: 'RSS', show: (p) => kib(p.residentSize) },
  tty: { title: 'TTY', show: terminalName },
  stat: { title: 'STAT', show: (p) => p.state },
  s: { title: 'S', show: (p) => p.state },
  ni: { title: 'NI', show: (p) => String(p.nice) },
  nlwp: { title: 'NLWP', show: (p) => String(p.threads) },
  stime: { title: 'STIME', show: startTime },
  start: { title: 'START', show: startTime },
  etime: { title: 'ELAPSED', show: elapsedText },
  etimes: { title: 'ELAPSED', show: (p) => String(Math.trunc(elapsed(p))) },
  time: { title: 'TIME', show: longTime },
  comm: { title: 'COMMAND', show: (p) => p.command },
  args: { title: 'COMMAND', show: (p) => p.commandLine },
}

const synonyms: Readonly<Record<string, string>> = {
  euser: 'user',
  euid: 'uid',
  egid: 'gid',
  '%cpu': 'pcpu',
  '%mem': 'pmem',
  vsize: 'vsz',
  rssize: 'rss',
  tt: 'tty',
  tname: 'tty',
  state: 's',
  nice: 'ni',
  thcount: 'nlwp',
  cputime: 'time',
  lstart: 'start',
  start_time: 'stime',
  bsdstart: 'start',
  cmd: 'args',
  command: 'args',
  ucmd: 'comm',
  pgrp: 'pgid',
  sess: 'sid',
}

function column(specifier: string): Column {
  const [name = '', title] = specifier.split('=', 2)
  const found = columns[synonyms[name.toLowerCase()] ?? name.toLowerCase()]
  if (found === undefined)
    throw new EngineError('invalid', `ps: error: unknown user-defined format specifier "${name}"`)
  const named = name.toLowerCase() === 'cmd' ? { ...found, title: 'CMD' } : found
  return title === undefined || title === '' ? named : { ...named, title }
}

const list = (names: string): Column[] =>
  names
    .split(/[\s,]+/)
    .filter((name) => name !== '')
    .map(column)

const full: readonly Column[] = [
  { title: 'UID', show: userName },
  ...list('pid ppid c stime tty time'),
  { title: 'CMD', show: (p) => p.commandLine },
]

const bsd: readonly Column[] = [
  ...list('user pid pcpu pmem vsz rss tty stat start'),
  { title: 'TIME', show: shortTime },
  ...list('args'),
]

/** `-ef`, `aux`, `-eo pid,comm`, `-o pid -o args` and their like. invalid for what is none of these. */
export function columnsOf(psArguments: string): readonly Column[] {
  const words = psArguments.trim().split(/\s+/)
  const chosen: Column[] = []
  let style = words.some((word) => /^-?[auxwf]+$/.test(word) && word.includes('u')) ? bsd : undefined
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? ''
    const [, letters = '', rest = ''] = /^-?([a-zA-Z]*?)o(.*)$/.exec(word) ?? []
    if (/^-[aAde]*o/.test(word) || /^[ax]*o/.test(word)) {
      if (letters.includes('f')) style = full
      index += rest === '' ? 1 : 0
      chosen.push(...list(rest === '' ? (words[index] ?? '') : rest))
    } else if (/^-[aAdefFlw]+$/.test(word)) style ??= full
    else if (!/^-?[auxwf]+$/.test(word))
      throw new EngineError('invalid', `ps: error: unsupported option ${JSON.stringify(word)}`)
  }
  if (chosen.length > 0) return chosen
  return style ?? full
}
