/** HostConfig as it is kept: checked, and with Docker's defaults where the user said nothing; wire facts 52, 122, 123. */
import { EngineError } from '../base/errors.ts'
import { normalizeCapabilities } from '../spec/capabilities.ts'
import { defaultMaskedPaths, defaultReadonlyPaths } from '../spec/defaults.table.ts'
import { devicePermissions, parseDeviceRule } from '../spec/devices.ts'
import { checkLimits } from '../spec/limits.ts'
import { tmpfsMount } from '../spec/mounts.ts'
import { rlimitOf } from '../spec/process.ts'
import { refuseAbsentOptions } from './absent-options.ts'
import { apparmorProfile } from './apparmor.ts'
import type { ContainerConfig, ContainerResources, HostConfig, RestartPolicy } from './container.ts'
import { healthTest } from './health.ts'
import { checkInit } from './init-process.ts'
import { checkLog } from './log-config.ts'
import { thisMachine } from './machine.ts'
import { checkSeccomp } from './seccomp.ts'
import { securityOptions } from './security-options.ts'
import { signalNumber } from './signal.ts'

const invalid = (sentence: string): never => {
  throw new EngineError('invalid', sentence)
}

const policies = new Set(['', 'no', 'always', 'unless-stopped', 'on-failure'])

export function checkRestartPolicy(policy: RestartPolicy | undefined): void {
  if (policy === undefined) return
  if (!policies.has(policy.Name))
    invalid(
      `invalid restart policy: unknown policy '${policy.Name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    )
  const count = policy.MaximumRetryCount ?? 0
  if (count !== 0 && policy.Name !== 'on-failure')
    invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'")
  if (count < 0) invalid('invalid restart policy: maximum retry count cannot be negative')
}

const restarts = (policy: RestartPolicy | undefined): boolean =>
  policy !== undefined && policy.Name !== '' && policy.Name !== 'no'

const modes: readonly [name: 'PidMode' | 'IpcMode' | 'UTSMode' | 'UsernsMode' | 'CgroupnsMode', words: string[]][] = [
  ['PidMode', ['', 'host', 'private', 'container:']],
  ['IpcMode', ['', 'host', 'private', 'shareable', 'none', 'container:']],
  ['UTSMode', ['', 'host']],
  ['UsernsMode', ['', 'host']],
  ['CgroupnsMode', ['', 'host', 'private']],
]
const modeTitles = {
  PidMode: 'PID',
  IpcMode: 'IPC',
  UTSMode: 'UTS',
  UsernsMode: 'user namespace',
  CgroupnsMode: 'cgroup namespace',
}

function checkModes(host: HostConfig): void {
  for (const [name, words] of modes) {
    const value = host[name] ?? ''
    const known = words.some((word) => (word.endsWith(':') ? value.startsWith(word) && value !== word : value === word))
    if (!known) invalid(`invalid ${modeTitles[name]} mode: ${value}`)
  }
}

function checkNetworkMode(config: ContainerConfig, host: HostConfig): void {
  const mode = host.NetworkMode ?? ''
  if (!mode.startsWith('container:')) {
    if (mode === 'host' && host.UTSMode === 'host' && config.Hostname)
      invalid('conflicting options: hostname and the UTS mode')
    return
  }
  if (mode === 'container:') invalid('invalid container format container:<name|id>')
  if (config.Hostname) invalid('conflicting options: hostname and the network mode')
  if (Object.keys(host.PortBindings ?? {}).length > 0 || host.PublishAllPorts === true)
    invalid('conflicting options: port publishing and the container type network mode')
  if (Object.keys(config.ExposedPorts ?? {}).length > 0)
    invalid('conflicting options: port exposing and the container type network mode')
  if ((host.Dns ?? []).length > 0) invalid('conflicting options: dns and the network mode')
  if ((host.ExtraHosts ?? []).length > 0) invalid('conflicting options: custom host-to-IP mapping and the network mode')
}

const portPattern = /^(\d{1,5})(?:-(\d{1,5}))?$/

function checkPorts(host: HostConfig): void {
  for (const [port, bindings] of Object.entries(host.PortBindings ?? {})) {
    const [number = '', protocol = 'tcp'] = port.split('/')
    if (!isPort(number) || number === '0') invalid(`invalid port specification: ${JSON.stringify(port)}`)
    if (!['tcp', 'udp', 'sctp'].includes(protocol)) invalid(`invalid proto: ${protocol}`)
    for (const { HostPort } of bindings ?? [])
      if (HostPort && !isPort(HostPort)) invalid(`invalid port specification: ${JSON.stringify(HostPort)}`)
  }
}

/**
 * Throws invalid for ports that would be found unpublishable at the start: this engine's ports are held by sockets, which it can pass
 * on for two protocols.
 *
 * @param config with what the image exposes
 */
export function checkPublished(config: ContainerConfig, host: HostConfig): void {
  // There are none to be published: docker passes over what is asked for.
  if (host.NetworkMode === 'host' || host.NetworkMode === 'none') return
  const all = host.PublishAllPorts === true ? Object.keys(config.ExposedPorts ?? {}) : []
  const unknown = [...Object.keys(host.PortBindings ?? {}), ...all].find((port) => /\/sctp$/i.test(port))
  if (unknown !== undefined) invalid(`cannot publish ${unknown}: only tcp and udp ports can be published`)
}

function isPort(text: string): boolean {
  const [, first, last] = portPattern.exec(text) ?? []
  return (
    first !== undefined &&
    Number(first) <= 65535 &&
    Number(last ?? first) <= 65535 &&
    Number(last ?? first) >= Number(first)
  )
}

/** Throws invalid, in dockerd's words, at the first thing that cannot be. */
export function checkHostConfig(config: ContainerConfig, host: HostConfig): void {
  refuseAbsentOptions(host)
  checkRestartPolicy(host.RestartPolicy)
  if (host.AutoRemove === true && restarts(host.RestartPolicy))
    invalid("can't create 'AutoRemove' container with restart policy")
  checkLog(host.LogConfig)
  checkModes(host)
  checkNetworkMode(config, host)
  checkPorts(host)
  checkLimits(host, thisMachine())
  checkSeccomp(host)
  apparmorProfile(host)
  normalizeCapabilities(host.CapAdd ?? [], 'CapAdd')
  normalizeCapabilities(host.CapDrop ?? [], 'CapDrop')
  for (const ulimit of host.Ulimits ?? []) rlimitOf(ulimit)
  for (const device of host.Devices ?? []) devicePermissions(device.CgroupPermissions ?? '')
  for (const rule of host.DeviceCgroupRules ?? []) parseDeviceRule(rule)
  for (const [path, options] of Object.entries(host.Tmpfs ?? {})) tmpfsMount(path, options)
  for (const extra of host.ExtraHosts ?? [])
    if (!/^[^:=]+[:=].+/.test(extra)) invalid(`bad format for add-host: ${JSON.stringify(extra)}`)
  if (host.ShmSize !== undefined && host.ShmSize < 0) invalid('SHM size can not be less than 0')
  if ((host.OomScoreAdj ?? 0) < -1000 || (host.OomScoreAdj ?? 0) > 1000)
    invalid(`Invalid value ${host.OomScoreAdj}, range for oom score adj is [-1000, 1000]`)
  checkInit(host)
  if (host.Runtime && !knownRuntimes.has(host.Runtime)) invalid(`unknown or invalid runtime name: ${host.Runtime}`)
  if (host.CgroupParent?.split('/').includes('..') === true)
    invalid(`invalid CgroupParent: ${host.CgroupParent}: a path of the cgroup hierarchy has no ..`)
}

/** Clients that know dockerd ask for its default by name. */
const knownRuntimes = new Set(['drydock', 'runc', 'io.containerd.runc.v2'])

/** The part of Config that has rules. */
export function checkConfig(config: ContainerConfig): void {
  if (config.StopSignal) signalNumber(config.StopSignal)
  if (config.WorkingDir && !config.WorkingDir.startsWith('/'))
    invalid(`the working directory '${config.WorkingDir}' is invalid, it needs to be an absolute path`)
  for (const variable of config.Env ?? [])
    if (variable === '' || variable.startsWith('=')) invalid(`invalid environment variable: ${variable}`)
  const { Interval, Timeout, StartPeriod, StartInterval, Retries } = config.Healthcheck ?? {}
  for (const [name, value] of Object.entries({ Interval, Timeout, StartPeriod, StartInterval }))
    if (value !== undefined && value !== 0 && value < 1_000_000)
      invalid(`${name} in Healthcheck cannot be less than 1ms`)
  if ((Retries ?? 0) < 0) invalid('Retries in Healthcheck cannot be negative')
  healthTest(config)
  if (config.Hostname && !/^[A-Za-z0-9._-]{1,64}$/.test(config.Hostname))
    invalid(`invalid hostname ${JSON.stringify(config.Hostname)}`)
}

/** What inspect shows where nothing was given. */
export function completeHostConfig(host: HostConfig, cgroupVersion: 1 | 2): HostConfig {
  const memory = host.Memory ?? 0
  const open = host.Privileged === true || securityOptions(host.SecurityOpt ?? []).openSystemPaths
  return {
    ...host,
    NetworkMode: !host.NetworkMode || host.NetworkMode === 'default' ? 'bridge' : host.NetworkMode,
    MemorySwap: memory > 0 && !host.MemorySwap ? memory * 2 : (host.MemorySwap ?? 0),
    ShmSize: host.ShmSize || 64 * 1024 * 1024,
    IpcMode: host.IpcMode || 'private',
    CgroupnsMode: host.CgroupnsMode || (cgroupVersion === 2 && host.Privileged !== true ? 'private' : 'host'),
    RestartPolicy: {
      Name: host.RestartPolicy?.Name || 'no',
      MaximumRetryCount: host.RestartPolicy?.MaximumRetryCount ?? 0,
    },
    OomKillDisable: host.OomKillDisable ?? false,
    LogConfig: { Type: host.LogConfig?.Type || 'json-file', Config: host.LogConfig?.Config ?? {} },
    MaskedPaths: open ? [] : (host.MaskedPaths ?? [...defaultMaskedPaths]),
    ReadonlyPaths: open ? [] : (host.ReadonlyPaths ?? [...defaultReadonlyPaths]),
  }
}

/** The names that `update` may change. */
export const resourceNames: readonly (keyof ContainerResources)[] = [
  'Memory',
  'MemorySwap',
  'MemoryReservation',
  'MemorySwappiness',
  'NanoCpus',
  'CpuShares',
  'CpuPeriod',
  'CpuQuota',
  'CpuRealtimePeriod',
  'CpuRealtimeRuntime',
  'CpusetCpus',
  'CpusetMems',
  'PidsLimit',
  'BlkioWeight',
]
