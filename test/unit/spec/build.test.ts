import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { build, type SpecStep, when } from '../../../engine/spec/build.ts'
import { allCapabilities, defaultCapabilities } from '../../../engine/spec/capabilities.table.ts'
import { resolveCapabilities, withCapabilities } from '../../../engine/spec/capabilities.ts'
import { defaults } from '../../../engine/spec/defaults.ts'
import { devicePermissions, parseDeviceRule, withDevice } from '../../../engine/spec/devices.ts'
import {
  withHostNamespace,
  withHostname,
  withNamespace,
  withNetworkSysctls,
  withSysctls,
  withUserNamespace,
} from '../../../engine/spec/namespaces.ts'
import {
  environment,
  rlimitOf,
  withArguments,
  withOomScoreAdjustment,
  withTerminal,
  withUlimits,
  withWorkingDirectory,
} from '../../../engine/spec/process.ts'
import { withPrivileges, withSeccomp } from '../../../engine/spec/security.ts'

const invalid = (pattern: RegExp) => (error: unknown) => isKind(error, 'invalid') && pattern.test(error.message)

/** A config whose every object refuses changes. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null)
    for (const inner of Object.values(Object.freeze(value))) frozen(inner)
  return value
}

test('no step changes the config it is given', () => {
  const base = frozen(defaults())
  const steps: SpecStep[] = [
    withArguments(['sh']),
    withTerminal({ height: 24, width: 80 }),
    withNamespace('cgroup'),
    withHostNamespace('network'),
    withUserNamespace(
      [{ containerID: 0, hostID: 100000, size: 65536 }],
      [{ containerID: 0, hostID: 100000, size: 65536 }],
    ),
    withHostname('box', 'example.org'),
    withSysctls({ 'kernel.msgmax': '1' }),
    withCapabilities({ add: ['ALL'] }),
    withUlimits([{ Name: 'nofile', Soft: 10, Hard: 20 }]),
    withDevice({ type: 'c', path: '/dev/fuse', major: 10, minor: 229 }, 'rwm'),
    withPrivileges([]),
  ]
  for (const step of steps) assert.notEqual(frozen(step(base)), base)
  assert.deepEqual(base, defaults())
})

test('two configs share nothing that a caller could change in both', () => {
  const one = defaults()
  one.linux?.maskedPaths?.push('/x')
  one.mounts?.pop()
  assert.equal(defaults().linux?.maskedPaths?.includes('/x'), false)
  assert.equal(defaults().mounts?.length, 7)
})

test('when leaves out a step whose condition does not hold', () => {
  assert.equal(build(defaults(), when(false, withArguments(['sh']))).process?.args.length, 0)
  assert.deepEqual(build(defaults(), when(true, withArguments(['sh']))).process?.args, ['sh'])
})

test('capabilities: the default set, added, dropped, all, with and without prefix', () => {
  assert.deepEqual(new Set(resolveCapabilities({})), new Set(defaultCapabilities))
  assert.ok(resolveCapabilities({ add: ['net_admin'] }).includes('CAP_NET_ADMIN'))
  assert.ok(!resolveCapabilities({ drop: ['CAP_Mknod'] }).includes('CAP_MKNOD'))
  assert.deepEqual(resolveCapabilities({ drop: ['all'], add: ['CHOWN'] }), ['CAP_CHOWN'])
  assert.equal(resolveCapabilities({ drop: ['ALL'] }).length, 0)
  assert.equal(resolveCapabilities({ add: ['ALL'], drop: ['SYS_ADMIN'] }).length, allCapabilities.length - 1)
  assert.deepEqual(resolveCapabilities({ privileged: true, drop: ['ALL'] }), [...allCapabilities])
  assert.throws(
    () => resolveCapabilities({ add: ['flying'] }),
    invalid(/^invalid CapAdd: unknown capability: "CAP_FLYING"$/),
  )
  assert.throws(() => resolveCapabilities({ privileged: true, drop: ['x'] }), invalid(/^invalid CapDrop/))
  const { capabilities } = build(defaults(), withCapabilities({ drop: ['ALL'] })).process ?? {}
  assert.deepEqual(capabilities, { bounding: [], effective: [], permitted: [] })
})

test('environment: the order, a name given replaces, a bare name removes', () => {
  const request = { hostname: 'box', terminal: true, variables: ['A=1', 'PATH=/bin', 'A=2=3', 'TERM'] }
  assert.deepEqual(environment(request), ['PATH=/bin', 'HOSTNAME=box', 'A=2=3'])
  assert.deepEqual(environment({ hostname: 'b', terminal: true, variables: [] }).at(-1), 'TERM=xterm')
  assert.equal(environment({ hostname: 'b', terminal: false, variables: [] }).length, 2)
  assert.throws(() => environment({ hostname: 'b', terminal: false, variables: ['=1'] }), invalid(/environment/))
  assert.throws(() => environment({ hostname: 'b', terminal: false, variables: ['A=\0'] }), invalid(/zero byte/))
})

test('process: what cannot be is refused', () => {
  assert.throws(() => withArguments([]), invalid(/^no command specified$/))
  assert.throws(() => withArguments(['a\0b']), invalid(/zero byte/))
  assert.throws(() => withWorkingDirectory('tmp'), invalid(/needs to be an absolute path/))
  assert.equal(build(defaults(), withWorkingDirectory('')).process?.cwd, '/')
  assert.throws(() => withOomScoreAdjustment(1001), invalid(/\[-1000, 1000\]/))
  assert.throws(() => withHostname('a'.repeat(65)), invalid(/64 bytes/))
})

test('ulimits', () => {
  assert.deepEqual(rlimitOf({ Name: 'NOFILE', Soft: 1024, Hard: -1 }), { type: 'RLIMIT_NOFILE', soft: 1024, hard: -1 })
  assert.throws(() => rlimitOf({ Name: 'nofiles', Soft: 1, Hard: 1 }), invalid(/invalid ulimit type: nofiles/))
  assert.throws(() => rlimitOf({ Name: 'core', Soft: -1, Hard: 1 }), invalid(/less than or equal to hard limit/))
  assert.throws(() => rlimitOf({ Name: 'core', Soft: 0.5, Hard: 1 }), invalid(/invalid value/))
})

test('sysctls need a namespace that keeps them apart, joined ones count', () => {
  const set = withSysctls({ 'net.ipv4.ip_forward': '1' })
  assert.equal(build(defaults(), set).linux?.sysctl?.['net.ipv4.ip_forward'], '1')
  assert.equal(build(defaults(), withNamespace('network', '/proc/1/ns/net'), set).linux?.sysctl !== undefined, true)
  assert.throws(() => build(defaults(), withHostNamespace('network'), set), invalid(/separate kernel namespace/))
  assert.throws(() => build(defaults(), withSysctls({ 'vm.swappiness': '1' })), invalid(/"vm.swappiness"/))
  assert.throws(() => build(defaults(), withSysctls({ 'net.../../kernel/core_pattern': '|x' })), invalid(/separate/))
  assert.throws(() => build(defaults(), withSysctls({ 'net/../kernel/core_pattern': '|x' })), invalid(/separate/))
})

test('network sysctls come with an own network namespace; the user decides', () => {
  assert.equal(build(defaults(), withNetworkSysctls()).linux?.sysctl?.['net.ipv4.ping_group_range'], '0 2147483647')
  assert.equal(build(defaults(), withHostNamespace('network'), withNetworkSysctls()).linux?.sysctl, undefined)
  const own = build(defaults(), withSysctls({ 'net.ipv4.ip_unprivileged_port_start': '80' }), withNetworkSysctls())
  assert.equal(own.linux?.sysctl?.['net.ipv4.ip_unprivileged_port_start'], '80')
})

test('devices and their rules', () => {
  assert.deepEqual(parseDeviceRule('c 42:* rmw'), { allow: true, type: 'c', major: 42, access: 'rmw' })
  assert.deepEqual(parseDeviceRule('a *:* rwm'), { allow: true, type: 'a', access: 'rwm' })
  for (const bad of ['c 42 rwm', 'x 1:1 r', 'c 1:1 ', 'c -1:1 r', 'c 1:1 rwx', 'c 1:1 rwm\n'])
    assert.throws(() => parseDeviceRule(bad), invalid(/invalid device cgroup rule format/))
  assert.equal(devicePermissions(''), 'rwm')
  for (const bad of ['rr', 'x', 'rwmr']) assert.throws(() => devicePermissions(bad), invalid(/permissions/))
})

test('privileged: nothing is hidden, filtered or denied', () => {
  const spec = build(defaults(), withSeccomp({ defaultAction: 'SCMP_ACT_ALLOW' }), withPrivileges([]))
  assert.equal(spec.linux?.seccomp, undefined)
  assert.deepEqual(spec.linux?.maskedPaths, [])
  assert.deepEqual(spec.linux?.resources?.devices, [{ allow: true, access: 'rwm' }])
  assert.equal(spec.process?.capabilities?.bounding?.length, allCapabilities.length)
  for (const mount of spec.mounts ?? []) assert.equal(mount.options?.includes('ro'), false, mount.destination)
})
