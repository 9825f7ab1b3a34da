/** Which cgroup hierarchies the machine has, and where: /proc/self/mountinfo, proc_pid_mountinfo(5). */
import { readFileSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import type { Cgroup, CgroupHost } from './cgroup.ts'
import { read } from './files.ts'
import { CgroupV1 } from './v1.ts'
import { CgroupV2 } from './v2.ts'

export type Hierarchies = {
  /** Mount points by controller; `systemd` for the named hierarchy that systemd tracks services in. */
  v1: Record<string, string>
  unified?: string
}

/** What v1 calls a controller, and the options that stand beside those in the mount's own. */
const controllersV1: ReadonlySet<string> = new Set([
  'cpu',
  'cpuacct',
  'cpuset',
  'memory',
  'devices',
  'freezer',
  'blkio',
  'pids',
  'hugetlb',
  'net_cls',
  'net_prio',
  'perf_event',
  'rdma',
  'misc',
])

/** Octal escapes of space, tab, newline and backslash. */
const plain = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** The first mount of a controller counts; a second one is a bind somewhere else. */
export function parseHierarchies(mountinfo: string): Hierarchies {
  const found: Hierarchies = { v1: {} }
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ')
    const [type, , options = ''] = after?.split(' ') ?? []
    const point = plain(before?.split(' ')[4] ?? '')
    if (type === 'cgroup2') found.unified ??= point
    if (type !== 'cgroup') continue
    for (const option of options.split(',')) {
      const name = option === 'name=systemd' ? 'systemd' : option
      if (name === 'systemd' || controllersV1.has(name)) found.v1[name] ??= point
    }
  }
  return found
}

/** Controllers a container can need; io and the v1 names differ, so the host's list speaks v2's names on v2. */
const wantedV2 = ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids']

/**
 * The group that paths count from on v2. Under systemd it must be one that systemd leaves alone: that of our own service,
 * which has Delegate=yes, where DelegateSubgroup= has put the daemon into a group below it. Without that (systemd before
 * 254) a daemon that is started again could not enter the group any more, which has handed its controllers down to
 * the containers: EBUSY, and systemd gives up. Then, as elsewhere, it is the root of what is mounted, whose controllers
 * nobody can take back while groups below hand them on.
 *
 * @param membership the text of /proc/self/cgroup
 */
export function delegatedBase(membership: string): string {
  const own = /^0::(\/.*)$/m.exec(membership)?.[1] ?? '/'
  return /^.*?\/drydock[^/]*\.service(?=\/)/.exec(own)?.[0] ?? ''
}

/** Throws unavailable where nothing is mounted. `mountinfo` and `membership` are for tests. */
export function detectCgroups(
  mountinfo: string = readFileSync('/proc/self/mountinfo', 'utf8'),
  membership: string = readFileSync('/proc/self/cgroup', 'utf8'),
): CgroupHost {
  const { v1, unified } = parseHierarchies(mountinfo)
  const limiting = Object.keys(v1).filter((name) => name !== 'systemd')
  if (limiting.length > 0) {
    const group = (path: string): Cgroup => new CgroupV1(path, v1, unified)
    return { version: 1, controllers: limiting.toSorted(), group }
  }
  if (unified === undefined)
    throw new EngineError('unavailable', 'no control groups are mounted: containers cannot be limited or found again')
  const root = `${unified}${delegatedBase(membership)}`
  const available = (read(`${root}/cgroup.controllers`) ?? '').trim().split(' ')
  const controllers = wantedV2.filter((name) => available.includes(name))
  const group = (path: string): Cgroup => new CgroupV2(path, root, controllers)
  return { version: 2, controllers, group }
}
