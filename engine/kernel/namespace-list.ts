/** Every namespace of the machine and who is in it, from /proc; namespaces(7). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { isErrno } from './libc.ffi.ts'

export type NamespaceMembers = {
  /** As in /proc/PID/ns: cgroup, ipc, mnt, net, pid, time, user, uts. */
  Type: string
  /** The inode number that names it. */
  Id: number
  /** It is the one the caller is in. */
  Host: boolean
  Members: { Pid: number; Command: string }[]
}

export const namespaceTypes = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'] as const
const longestCommand = 200

/** Undefined where the process has ended meanwhile, or is not ours to look at. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'EINVAL')) return undefined
    throw error
  }
}

/** `net:[4026531840]`; namespaces(7). */
const inodeOf = (link: string): number => Number(/\[(\d+)\]$/.exec(link)?.[1] ?? 0)

const namespaceOf = (pid: number | 'self', type: string): number | undefined => {
  const link = attempt(() => readlinkSync(`/proc/${pid}/ns/${type}`))
  return link === undefined ? undefined : inodeOf(link)
}

/** The command line, or for the kernel's own threads the name in brackets. */
function commandOf(pid: number): string {
  const line = attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? ''
  if (line !== '') return line.replaceAll('\0', ' ').trim().slice(0, longestCommand)
  return `[${(attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8')) ?? '').trim()}]`
}

/** Namespaces that a mount keeps although nobody is in them: `… - nsfs nsfs rw` with the link text as root. */
function keptByMounts(mountinfo: string): [type: string, id: number][] {
  return mountinfo.split('\n').flatMap((line): [string, number][] => {
    const [before, after] = line.split(' - ')
    const root = before?.split(' ')[3] ?? ''
    const type = /^([a-z]+):\[\d+\]$/.exec(root)?.[1]
    return after?.startsWith('nsfs ') === true && type !== undefined ? [[type, inodeOf(root)]] : []
  })
}

/** In the order of kinds, then the oldest first: inode numbers count upwards. */
export function listNamespaces(): NamespaceMembers[] {
  const found = new Map<string, NamespaceMembers>()
  const own = new Map(namespaceTypes.map((type) => [type as string, namespaceOf('self', type)]))
  const entry = (Type: string, Id: number): NamespaceMembers => {
    const key = `${Type}:${Id}`
    const known = found.get(key) ?? { Type, Id, Host: own.get(Type) === Id, Members: [] }
    found.set(key, known)
    return known
  }
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0)
  for (const Pid of pids.toSorted((one, other) => one - other)) {
    const ids = namespaceTypes.map((type) => [type, namespaceOf(Pid, type)] as const)
    if (ids.every(([, id]) => id === undefined)) continue
    const Command = commandOf(Pid)
    for (const [type, id] of ids) if (id !== undefined) entry(type, id).Members.push({ Pid, Command })
  }
  for (const [type, id] of keptByMounts(attempt(() => readFileSync('/proc/self/mountinfo', 'utf8')) ?? ''))
    entry(type, id)
  return [...found.values()].toSorted((one, other) => one.Type.localeCompare(other.Type) || one.Id - other.Id)
}
