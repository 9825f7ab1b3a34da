/** Every field that cannot be done, or makes no sense, is refused by its name. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { configShape } from '../../../engine/runtime/config-shape.table.ts'
import { parseConfig, withKnownNames } from '../../../engine/runtime/config-shape.ts'
import { validate, validateProcess, validateResources } from '../../../engine/runtime/validate.ts'
import type { OciProcess, OciSpec } from '../../../engine/spec/oci.ts'

const plain = (): OciSpec => ({
  ociVersion: '1.2.0',
  root: { path: 'rootfs' },
  process: { user: { uid: 0, gid: 0 }, args: ['true'], cwd: '/' },
  linux: { namespaces: [{ type: 'mount' }, { type: 'uts' }, { type: 'network' }, { type: 'ipc' }] },
})

/** `path` is set to `value` in a config that is fine without it. */
function withValue(path: string, value: unknown): OciSpec {
  const spec = plain()
  const names = path.split('.')
  const last = names.pop()!
  let at = spec as unknown as Record<string, unknown>
  for (const name of names) {
    at[name] ??= {}
    at = at[name] as Record<string, unknown>
  }
  at[last] = value
  return spec
}

const refused = (work: () => void, words: RegExp): void =>
  assert.throws(work, (error) => {
    assert.ok(isKind(error, 'invalid'))
    assert.match(error.message, words)
    return true
  })

test('a plain config passes, with everything absent that may be', () => {
  validate(plain())
})

test('properties of other platforms and of later versions are passed over', () => {
  validate({ ...plain(), windows: { anything: 1 }, future: true } as OciSpec)
})

const bad: readonly (readonly [path: string, value: unknown, words: RegExp])[] = [
  ['ociVersion', '2.0.0', /^ociVersion: "2\.0\.0" is not of the form/],
  ['ociVersion', undefined, /^ociVersion: is needed/],
  ['root', undefined, /^root: is needed/],
  ['root.path', '', /^root\.path: must not be empty/],
  ['root.readonly', 'yes', /^root\.readonly: "yes" is not true or false/],
  ['process', undefined, /^process: is needed/],
  ['process.args', [], /^process\.args: no command specified/],
  ['process.args', ['a\0b'], /^process\.args\[0\]: .* without NUL/],
  ['process.cwd', 'home', /^process\.cwd: "home" is not an absolute path/],
  ['process.env', ['A=1', '=2'], /^process\.env: "=2" is not of the form NAME=value/],
  ['process.user.uid', -1, /^process\.user\.uid: -1 is not a whole number/],
  ['process.user.uid', 4294967295, /^process\.user\.uid/],
  ['process.user.umask', 0o1000, /^process\.user\.umask/],
  ['process.user.additionalGids', [1.5], /^process\.user\.additionalGids\[0\]/],
  [
    'process.rlimits',
    [{ type: 'RLIMIT_NONE', hard: 1, soft: 1 }],
    /^process\.rlimits\[0\]\.type: "RLIMIT_NONE" is not one/,
  ],
  [
    'process.rlimits',
    [
      { type: 'RLIMIT_CORE', hard: 1, soft: 1 },
      { type: 'RLIMIT_CORE', hard: 1, soft: 1 },
    ],
    /^process\.rlimits: name one type twice/,
  ],
  ['process.oomScoreAdj', 1001, /^process\.oomScoreAdj/],
  ['process.scheduler', { policy: 'SCHED_SOON' }, /^process\.scheduler\.policy: "SCHED_SOON"/],
  ['process.scheduler', { policy: 'SCHED_RR', nice: 3 }, /^process\.scheduler\.nice: is for SCHED_OTHER/],
  ['process.scheduler', { policy: 'SCHED_OTHER', priority: 3 }, /^process\.scheduler\.priority: is for SCHED_FIFO/],
  ['process.scheduler', { policy: 'SCHED_IDLE', runtime: 3 }, /^process\.scheduler: runtime/],
  ['process.scheduler', { policy: 'SCHED_OTHER', flags: ['X'] }, /^process\.scheduler\.flags\[0\]: "X"/],
  ['process.ioPriority', { class: 'IOPRIO_CLASS_BE', priority: 8 }, /^process\.ioPriority\.priority/],
  ['process.execCPUAffinity', { initial: '3-1' }, /^process\.execCPUAffinity\.initial: "3-1" is not a list/],
  ['process.execCPUAffinity', { final: 'all' }, /^process\.execCPUAffinity\.final/],
  ['hostname', 'a\nb', /^hostname: .* single line/],
  ['linux.namespaces', [{ type: 'mount' }, { type: 'mount' }], /^linux\.namespaces: name one type twice/],
  ['linux.namespaces', [{ type: 'disk' }], /^linux\.namespaces\[0\]\.type: "disk"/],
  ['linux.timeOffsets', { boottime: { secs: 1 } }, /^linux\.timeOffsets: need a time namespace/],
  ['linux.uidMappings', [{ containerID: 0, hostID: 0, size: 1 }], /^linux\.uidMappings: need a user namespace/],
  ['linux.gidMappings', [{ containerID: 0, hostID: 0 }], /^linux\.gidMappings\[0\]\.size: is needed/],
  ['linux.sysctl', { 'vm.swappiness': '1' }, /^linux\.sysctl: vm\.swappiness is not in a separate/],
  ['linux.sysctl', { 'net.../../kernel': '1' }, /^linux\.sysctl: .* is not in a separate/],
  ['linux.sysctl', { 'net.ipv4.ip_forward': 1 }, /^linux\.sysctl\.net\.ipv4\.ip_forward: 1 is not a string/],
  ['linux.devices', [{ type: 'c', path: '/dev/x' }], /^linux\.devices: \/dev\/x needs major and minor/],
  ['linux.devices', [{ type: 'x', path: '/dev/x' }], /^linux\.devices\[0\]\.type/],
  ['linux.devices', [{ type: 'p', path: 'dev/x' }], /^linux\.devices\[0\]\.path: .* absolute/],
  ['linux.rootfsPropagation', 'public', /^linux\.rootfsPropagation: "public"/],
  ['linux.maskedPaths', ['proc/kcore'], /^linux\.maskedPaths\[0\]: .* absolute/],
  ['linux.readonlyPaths', [7], /^linux\.readonlyPaths\[0\]: 7 is not a string/],
  ['linux.mountLabel', 'system_u:x', /^linux\.mountLabel: needs SELinux/],
  ['linux.personality', { domain: 'SVR4' }, /^linux\.personality\.domain: "SVR4"/],
  ['linux.personality', { domain: 'LINUX', flags: ['X'] }, /^linux\.personality\.flags: no flag/],
  ['linux.memoryPolicy', { mode: 'MPOL_ALL' }, /^linux\.memoryPolicy\.mode/],
  ['linux.memoryPolicy', { mode: 'MPOL_BIND', nodes: '1-' }, /^linux\.memoryPolicy\.nodes/],
  ['linux.intelRdt', {}, /^linux\.intelRdt: needs a resctrl/],
  ['linux.netDevices', { 'a/b': {} }, /^linux\.netDevices: "a\/b" is no name/],
  ['linux.netDevices', { eth0: { name: 'eth%d' } }, /^linux\.netDevices: "eth%d" is no name/],
  ['linux.netDevices', { eth0: {}, eth1: { name: 'eth0' } }, /^linux\.netDevices: give one name twice/],
  ['linux.resources.devices', [{ allow: true, access: 'rx' }], /^linux\.resources\.devices\[0\]\.access/],
  ['linux.resources.memory', { limit: '5m' }, /^linux\.resources\.memory\.limit: "5m"/],
  ['linux.resources.memory', { swappiness: 101 }, /^linux\.resources\.memory\.swappiness/],
  ['linux.resources.cpu', { cpus: '0;1' }, /^linux\.resources\.cpu\.cpus/],
  [
    'linux.resources.hugepageLimits',
    [{ pageSize: '2mb', limit: 1 }],
    /^linux\.resources\.hugepageLimits\[0\]\.pageSize/,
  ],
  ['linux.resources.pids', {}, /^linux\.resources\.pids\.limit: is needed/],
  ['hooks.prestart', [{ path: 'hook' }], /^hooks\.prestart\[0\]\.path: .* absolute/],
  ['hooks.poststop', [{ path: '/hook', timeout: 0 }], /^hooks\.poststop\[0\]\.timeout/],
  ['annotations', { a: 1 }, /^annotations\.a: 1 is not a string/],
  ['mounts', [{ source: '/a' }], /^mounts\[0\]\.destination: is needed/],
  ['mounts', [{ destination: '/a', options: 'ro' }], /^mounts\[0\]\.options: "ro" is not a list/],
  ['mounts', [{ destination: '/a', type: 'tmpfs', options: ['idmap'] }], /^mounts\[0\] \(\/a\): only a bind mount/],
  ['mounts', [{ destination: '/a', type: 'bind', options: ['ridmap'] }], /^mounts\[0\] \(\/a\): idmap without/],
  [
    'mounts',
    [{ destination: '/a', type: 'bind', uidMappings: [{ containerID: 0, hostID: 1, size: 1 }] }],
    /^mounts\[0\] \(\/a\): uidMappings and gidMappings go together/,
  ],
  [
    'mounts',
    [{ destination: '/a', type: 'ramfs', options: ['tmpcopyup'] }],
    /^mounts\[0\] \(\/a\): tmpcopyup is for tmpfs/,
  ],
]

for (const [path, value, words] of bad)
  test(`${path} ${JSON.stringify(value) ?? 'absent'} is refused`, () =>
    refused(() => validate(withValue(path, value)), words))

test('names of a namespace that is not the container’s own are refused', () => {
  const spec = plain()
  spec.linux!.namespaces = [{ type: 'mount' }]
  refused(() => validate({ ...spec, hostname: 'a' }), /^hostname: needs a UTS/)
  refused(() => validate({ ...spec, domainname: 'a' }), /^domainname: needs a UTS/)
  refused(() => validate({ ...spec, linux: { ...spec.linux, sysctl: { 'net.a.b': '1' } } }), /net\.a\.b is not in/)
})

test('a sysctl that a field sets as well is refused', () => {
  refused(
    () => validate({ ...plain(), hostname: 'a', linux: { ...plain().linux, sysctl: { 'kernel/hostname': 'b' } } }),
    /conflicts with hostname/,
  )
  validate({ ...plain(), linux: { ...plain().linux, sysctl: { 'kernel.hostname': 'b', 'net/ipv4/ip_forward': '1' } } })
})

test('a user namespace needs both maps', () => {
  const mapping = [{ containerID: 0, hostID: 1000, size: 1 }]
  const spec = plain()
  spec.linux!.namespaces!.push({ type: 'user' })
  refused(() => validate(spec), /^linux\.uidMappings: are needed/)
  spec.linux!.uidMappings = mapping
  refused(() => validate(spec), /^linux\.gidMappings: are needed/)
  spec.linux!.gidMappings = mapping
  validate(spec)
})

test('a joining process and an update are held to the same', () => {
  refused(() => validateProcess({ ...plain().process, oomScoreAdj: 5000 } as OciProcess), /^process\.oomScoreAdj/)
  refused(() => validateResources({ pids: { limit: 1.5 } }), /^linux\.resources\.pids\.limit/)
})

test('null is as good as absent, and no JSON is an error', () => {
  assert.deepEqual(parseConfig('{"a":null,"b":{"c":null,"d":1}}'), { b: { d: 1 } })
  refused(() => parseConfig('{'), /^config\.json is not JSON/)
})

test('numbers of 64 bits pass', () => {
  validate(
    parseConfig(
      JSON.stringify(withValue('process.rlimits', [{ type: 'RLIMIT_CORE', hard: 0, soft: 0 }])).replace(
        '"hard":0',
        '"hard":18446744073709551615',
      ),
    ),
  )
  validateResources({ memory: { limit: 2 ** 63, swap: -1 } })
})

test('a name in other letters is that of the specification, unless that is there as well', () => {
  const given = {
    OCIVersion: '1.2.0',
    root: { Path: 'rootfs', path: 'kept' },
    Linux: { resources: { hugepageLimits: [{ pagesize: '2MB', LIMIT: 1 }] }, sysctl: { 'Net.IPv4': 'x' } },
    annotations: { Root: 'as it is' },
    unheard: { Of: 1 },
  }
  assert.deepEqual(withKnownNames(given, configShape), {
    ociVersion: '1.2.0',
    root: { Path: 'rootfs', path: 'kept' },
    linux: { resources: { hugepageLimits: [{ pageSize: '2MB', limit: 1 }] }, sysctl: { 'Net.IPv4': 'x' } },
    annotations: { Root: 'as it is' },
    unheard: { Of: 1 },
  })
  const hostile = JSON.parse('{"__proto__":{"root":1},"constructor":{"a":1},"process":[1]}')
  assert.deepEqual(Object.entries(withKnownNames(hostile, configShape)), Object.entries(hostile))
})
