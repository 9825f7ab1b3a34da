/** `update`: other limits for a container, in place; remembered, so that a later update knows what was there. */
import { readFileSync } from 'node:fs'
import { EngineError, messageOf } from '../../base/errors.ts'
import type { OciResources } from '../../spec/oci.ts'
import { validateResources } from '../validate.ts'
import type { Containers } from './containers.ts'
import type { ParsedFlags } from './flags.ts'
import type { Log } from './log.ts'

export function updateVerb(containers: Containers, flags: ParsedFlags): number {
  const { record, cgroup } = containers.find(flags.args[0])
  const asked = withoutEmpty(askedResources(flags, containers.log))
  // Device rules stay as they are: others (a driver's helper) may have added to them.
  const { devices: _devices, ...limits } = asked
  const before = record.spec.linux?.resources ?? {}
  validateResources(limits)
  cgroup.apply(withPeriod(limits, before))
  const after = {
    ...before,
    ...Object.fromEntries(Object.entries(limits).map(([name, value]) => merged(before, name, value))),
  }
  containers.store.save({ ...record, spec: { ...record.spec, linux: { ...record.spec.linux, resources: after } } })
  return 0
}

const merged = (before: OciResources, name: string, value: unknown): [string, unknown] => {
  const old = before[name as keyof OciResources]
  const both = typeof value === 'object' && !Array.isArray(value) && typeof old === 'object' && !Array.isArray(old)
  return [name, both ? { ...old, ...(value as object) } : value]
}

/** v2 has quota and period in one file: what is not given keeps its value. */
function withPeriod(limits: OciResources, before: OciResources): OciResources {
  const { cpu } = limits
  if (cpu === undefined) return limits
  const { quota, period } = before.cpu ?? {}
  return {
    ...limits,
    cpu: {
      ...(cpu.period !== undefined && cpu.quota === undefined && quota !== undefined ? { quota } : {}),
      ...(cpu.quota !== undefined && cpu.period === undefined && period !== undefined ? { period } : {}),
      ...cpu,
    },
  }
}

function askedResources(flags: ParsedFlags, log: Log): OciResources {
  if (flags.has('kernel-memory') || flags.has('kernel-memory-tcp'))
    log.warn('Kernel memory settings are ignored and will be removed')
  for (const name of ['l3-cache-schema', 'mem-bw-schema'])
    if (flags.text(name) !== undefined)
      throw new EngineError('not-implemented', `--${name}: Intel RDT is not supported`)
  const path = flags.text('resources')
  return path === undefined ? fromFlags(flags) : fromFile(path)
}

function fromFile(path: string): OciResources {
  try {
    const parsed = JSON.parse(readFileSync(path === '-' ? 0 : path, 'utf8')) as OciResources
    // The name that older callers use for it.
    return parsed
  } catch (error) {
    throw new EngineError('invalid', `resources in ${path === '-' ? 'standard input' : path}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function fromFlags(flags: ParsedFlags): OciResources {
  const whole = (name: string): number | undefined => wholeNumber(name, flags.text(name))
  const bytes = (name: string): number | undefined => byteCount(name, flags.text(name))
  const memory = {
    limit: bytes('memory'),
    swap: bytes('memory-swap'),
    reservation: bytes('memory-reservation'),
  }
  // Without a limit of memory there can be none of memory and swap.
  if (memory.limit === -1) memory.swap ??= -1
  return {
    memory,
    cpu: {
      shares: whole('cpu-share'),
      quota: whole('cpu-quota'),
      period: whole('cpu-period'),
      burst: whole('cpu-burst'),
      realtimePeriod: whole('cpu-rt-period'),
      realtimeRuntime: whole('cpu-rt-runtime'),
      idle: whole('cpu-idle'),
      cpus: flags.text('cpuset-cpus'),
      mems: flags.text('cpuset-mems'),
    },
    blockIO: { weight: flags.number('blkio-weight') || undefined },
    pids: { limit: flags.number('pids-limit') || undefined },
  } as OciResources
}

/** Fields and groups that say nothing are left out, so that they change nothing. */
function withoutEmpty(resources: OciResources): OciResources {
  const kept = Object.entries(resources).map(([name, value]) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [name, value] as const
    const fields = Object.entries(value).filter(([, field]) => field !== undefined && field !== null && field !== '')
    return [name, fields.length === 0 ? undefined : Object.fromEntries(fields)] as const
  })
  return Object.fromEntries(kept.filter(([, value]) => value !== undefined && value !== null)) as OciResources
}

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^-?\d+$/.test(text)) throw new EngineError('invalid', `invalid value for ${name}: ${JSON.stringify(text)}`)
  return Number(text)
}

const units: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
}

/** `512m`, `1.5GiB`, `1024`, or -1 for no limit. */
function byteCount(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (text === '-1') return -1
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text) ?? []
  const factor = units[unit.toLowerCase()]
  if (number === undefined || factor === undefined)
    throw new EngineError('invalid', `invalid value for ${name}: invalid size: ${JSON.stringify(text)}`)
  return Math.floor(Number(number) * factor)
}
