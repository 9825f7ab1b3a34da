import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import type { ContainerConfig, HostConfig } from '../../../engine/lifecycle/container.ts'
import { checkConfig, checkHostConfig, completeHostConfig } from '../../../engine/lifecycle/host-config.ts'
import { logLimits } from '../../../engine/lifecycle/log-config.ts'

const bad: [HostConfig, RegExp][] = [
  [{ RestartPolicy: { Name: 'sometimes' as 'no' } }, /unknown policy 'sometimes'/],
  [{ RestartPolicy: { Name: 'always', MaximumRetryCount: 3 } }, /can only be used with 'on-failure'/],
  [{ RestartPolicy: { Name: 'on-failure', MaximumRetryCount: -1 } }, /cannot be negative/],
  [{ AutoRemove: true, RestartPolicy: { Name: 'always' } }, /can't create 'AutoRemove' container with restart policy/],
  [{ LogConfig: { Type: 'syslog' } }, /no log driver named 'syslog' is registered/],
  [{ LogConfig: { Type: 'json-file', Config: { 'max-size': 'x' } } }, /invalid size/],
  [
    { LogConfig: { Type: 'json-file', Config: { 'max-file': '0', 'max-size': '1k' } } },
    /max-file cannot be less than 1/,
  ],
  [{ PidMode: 'container:' }, /invalid PID mode/],
  [{ IpcMode: 'mine' }, /invalid IPC mode/],
  [{ NetworkMode: 'container:' }, /invalid container format/],
  [
    { NetworkMode: 'container:x', PortBindings: { '80/tcp': [] } },
    /port publishing and the container type network mode/,
  ],
  [{ PortBindings: { '80/ip': [] } }, /invalid proto: ip/],
  [{ PortBindings: { '0/tcp': [] } }, /invalid port specification/],
  [{ PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '70000' }] } }, /invalid port specification: "70000"/],
  [{ Memory: 1000 }, /Minimum memory limit allowed is 6MB/],
  [{ CapAdd: ['NOPE'] }, /invalid CapAdd: unknown capability/],
  [{ SecurityOpt: ['nope=1'] }, /invalid --security-opt/],
  [{ Ulimits: [{ Name: 'nofile', Soft: 2, Hard: 1 }] }, /ulimit soft limit must be less/],
  [{ Tmpfs: { '/x': 'nope' } }, /invalid tmpfs option/],
  [{ ExtraHosts: ['nope'] }, /bad format for add-host: "nope"/],
  [{ ShmSize: -1 }, /SHM size can not be less than 0/],
  [{ OomScoreAdj: 2000 }, /range for oom score adj is \[-1000, 1000\]/],
  [{ Runtime: 'kata' }, /unknown or invalid runtime name: kata/],
  [{ CgroupParent: '/a/../b' }, /invalid CgroupParent/],
]

test('what cannot be is refused in the words that clients know', () => {
  for (const [host, words] of bad)
    assert.throws(
      () => checkHostConfig({ Image: 'x' }, host),
      (error) => isKind(error, 'invalid') && words.test(error.message),
      JSON.stringify(host),
    )
})

test('what is usual is accepted', () => {
  checkHostConfig(
    { Image: 'x' },
    {
      RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 },
      PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8000-8010' }], '53/udp': null, '90': [] },
      Runtime: 'runc',
      SecurityOpt: ['no-new-privileges', 'seccomp=unconfined', 'label=disable', 'apparmor:unconfined'],
      ExtraHosts: ['a:1.2.3.4', 'b=::1'],
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
    },
  )
})

test('config: signals, directories, variables, health checks', () => {
  const configs: Omit<ContainerConfig, 'Image'>[] = [
    { StopSignal: 'SIGNOPE' },
    { WorkingDir: 'relative' },
    { Env: ['=x'] },
    { Env: [''] },
    { Healthcheck: { Interval: 5 } },
    { Healthcheck: { Retries: -1 } },
    { Hostname: 'a b' },
  ]
  for (const config of configs)
    assert.throws(
      () => checkConfig({ Image: 'x', ...config }),
      (error) => isKind(error, 'invalid'),
      JSON.stringify(config),
    )
})

test('sizes of logs', () => {
  const sizes: [string, number][] = [
    ['-1', -1],
    ['512', 512],
    ['1k', 1024],
    ['1.5m', 1.5 * 2 ** 20],
    ['2GB', 2 ** 31],
    ['1KiB', 1024],
  ]
  for (const [text, bytes] of sizes) assert.equal(logLimits({ Config: { 'max-size': text } }).maxSize, bytes, text)
})

test('what inspect shows where nothing was given', () => {
  const complete = completeHostConfig({ Memory: 10 << 20, NetworkMode: 'default' }, 2)
  assert.equal(complete.NetworkMode, 'bridge')
  assert.equal(complete.MemorySwap, 20 << 20)
  assert.equal(complete.ShmSize, 64 << 20)
  assert.equal(complete.IpcMode, 'private')
  assert.equal(complete.CgroupnsMode, 'private')
  assert.equal(completeHostConfig({}, 1).CgroupnsMode, 'host')
  assert.deepEqual(complete.RestartPolicy, { Name: 'no', MaximumRetryCount: 0 })
  assert.ok((complete.MaskedPaths ?? []).includes('/proc/kcore'))
  assert.deepEqual(completeHostConfig({ Privileged: true }, 2).MaskedPaths, [])
  assert.deepEqual(completeHostConfig({ SecurityOpt: ['systempaths=unconfined'] }, 2).ReadonlyPaths, [])
})
