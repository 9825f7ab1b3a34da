/** One container made of one change to the usual config: what it prints, or that it is refused. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import type { OciIdMapping, OciMount, OciProcess, OciSpec } from '../../engine/spec/oci.ts'
import { findProgram, type RuntimeBed } from './runtime-bed.ts'

export const runtimes = ['drydock-runtime', 'runc', 'crun'] as const
export type RuntimeName = (typeof runtimes)[number]

export type Case = {
  name: string
  script: string
  change?: (spec: OciSpec, bed: RuntimeBed) => void
  /** What it prints; absent: the container is refused. */
  prints?: string | RegExp
  /** References that are known to differ, with the reason. */
  not?: Partial<Record<RuntimeName, string>>
}

export const allCapabilities = (...names: string[]): NonNullable<OciProcess['capabilities']> => ({
  bounding: names,
  effective: names,
  permitted: names,
})

export const tmpfs = (destination: string, ...options: string[]): OciMount => ({
  destination,
  type: 'tmpfs',
  source: 'tmpfs',
  options,
})

/** A reason against the installed runc where it is older than `minor` of version 1. */
export function olderRunc(minor: number, reason: string): Case['not'] {
  const program = findProgram('runc')
  const text = program === undefined ? '' : spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout
  const [version = '', found] = /^runc version 1\.(\d+)\S*/.exec(text) ?? []
  return found !== undefined && Number(found) < minor ? { runc: `${reason} (${version})` } : {}
}

export const userMaps: OciIdMapping[] = [{ containerID: 0, hostID: 100_000, size: 65536 }]

/** A user namespace, and a bundle that its root may pass and write. */
export function inUserNamespace({ linux, mounts }: OciSpec, bed: RuntimeBed): void {
  linux!.namespaces!.push({ type: 'user' })
  linux!.uidMappings = userMaps
  linux!.gidMappings = userMaps
  bed.open()
  // The group of terminals is 5, which the map has; the kernel's own /sys needs the network namespace to be theirs.
  mounts!.find(({ destination }) => destination === '/sys/fs/cgroup')!.options!.push('ro')
}

export function runCases(name: RuntimeName, newBed: () => RuntimeBed, cases: readonly Case[]): void {
  for (const { name: title, script, change, prints, not } of cases)
    test(title, { skip: not?.[name] !== undefined && `${name} ${not[name]}` }, () => {
      using bed = newBed()
      bed.configure(['sh', '-c', script], (spec) => change?.(spec, bed))
      const { status, stdout, stderr } = bed.run(['run', '--bundle', bed.bundle, 'a'])
      if (prints === undefined) {
        assert.notEqual(status, 0, `it runs: ${stdout}`)
        assert.notEqual(stderr, '')
        return
      }
      if (typeof prints === 'string') assert.equal(stdout, prints, stderr)
      else assert.match(stdout, prints, stderr)
    })
}
