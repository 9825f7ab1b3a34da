/** `spec`: a config.json to begin with; the same values as runc's, since scripts edit what they expect to find. */
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { EngineError } from '../../base/errors.ts'
import { defaultReadonlyPaths } from '../../spec/defaults.table.ts'
import type { OciMount, OciSpec } from '../../spec/oci.ts'
import { enterBundle } from './bundle.ts'
import type { Containers } from './containers.ts'
import type { ParsedFlags } from './flags.ts'
import { specVersion } from './version.ts'

const configFile = 'config.json'

export function specVerb(_containers: Containers, flags: ParsedFlags): number {
  enterBundle(flags.text('bundle'))
  if (statSync(configFile, { throwIfNoEntry: false }) !== undefined)
    throw new EngineError('conflict', `File ${configFile} exists. Remove it first`)
  const spec = example(existsSync('/sys/fs/cgroup/cgroup.controllers'))
  const chosen = flags.is('rootless') ? forOrdinaryUser(spec, process.geteuid?.() ?? 0, process.getegid?.() ?? 0) : spec
  writeFileSync(configFile, JSON.stringify(chosen, null, '\t'), { flag: 'wx' })
  return 0
}

const capabilities = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE']
const limited = ['nosuid', 'noexec', 'nodev']

const mounts: readonly OciMount[] = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...limited, 'mode=1777', 'size=65536k'] },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: [...limited] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...limited, 'ro'] },
  { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...limited, 'relatime', 'ro'] },
]

const maskedPaths = ['acpi', 'asound', 'kcore', 'keys', 'latency_stats', 'timer_list', 'timer_stats', 'sched_debug']

/** @param unified the machine has cgroup v2, where a namespace of its own costs nothing and hides the host's tree */
const example = (unified: boolean): OciSpec => ({
  ociVersion: specVersion,
  process: {
    terminal: true,
    user: { uid: 0, gid: 0 },
    args: ['sh'],
    env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'],
    cwd: '/',
    capabilities: { bounding: [...capabilities], effective: [...capabilities], permitted: [...capabilities] },
    rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
    noNewPrivileges: true,
  },
  root: { path: 'rootfs', readonly: true },
  hostname: 'runc',
  mounts: [...mounts],
  linux: {
    resources: { devices: [{ allow: false, access: 'rwm' }] },
    namespaces: [
      { type: 'pid' },
      { type: 'network' },
      { type: 'ipc' },
      { type: 'uts' },
      { type: 'mount' },
      ...(unified ? [{ type: 'cgroup' as const }] : []),
    ],
    maskedPaths: [...maskedPaths.map((name) => `/proc/${name}`), '/sys/firmware', '/proc/scsi'],
    readonlyPaths: [...defaultReadonlyPaths],
  },
})

/** Root inside is the user outside, the network is the machine's, and there are no limits. */
function forOrdinaryUser(spec: OciSpec, uid: number, gid: number): OciSpec {
  const { resources: _resources, ...linux } = spec.linux!
  return {
    ...spec,
    mounts: spec.mounts!.map((mount) =>
      mount.destination === '/sys'
        ? { destination: '/sys', type: 'none', source: '/sys', options: ['rbind', ...limited, 'ro'] }
        : withoutOwner(mount),
    ),
    linux: {
      ...linux,
      namespaces: [...linux.namespaces!.filter(({ type }) => type !== 'network'), { type: 'user' }],
      uidMappings: [{ containerID: 0, hostID: uid, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: gid, size: 1 }],
    },
  }
}

/** Of ids there is only one. */
const withoutOwner = (mount: OciMount): OciMount =>
  mount.options === undefined
    ? mount
    : { ...mount, options: mount.options.filter((option) => !/^[ug]id=/.test(option)) }
