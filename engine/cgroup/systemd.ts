/** A group of cgroup v2 that systemd makes, knows the limits of, and removes: a transient scope with Delegate. */
import { existsSync, readFileSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { close, pipe, read, write } from '../kernel/descriptors.ffi.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { clone, exit, reap } from '../kernel/process.ffi.ts'
import type { OciResources } from '../spec/oci.ts'
import type { Cgroup, CgroupUse } from './cgroup.ts'
import { DBusError } from './dbus-connection.ts'
import { parseHierarchies } from './detect.ts'
import { SystemdBus, type SystemdScope } from './systemd-bus.ts'
import { creationProperties, limitProperties, parseUnitPath, type UnitName, unitPath } from './systemd-unit.ts'
import { CgroupV2 } from './v2.ts'

/** A scope needs a process to begin with; it goes when the container's own is in. */
type Placeholder = { pid: number; gate: number }

function makePlaceholder(): Placeholder {
  const gate = pipe()
  const { pid } = clone({ flags: 0n })
  if (pid === 0) {
    close(gate.writeEnd)
    read(gate.readEnd, Buffer.alloc(1))
    exit(0)
  }
  close(gate.readEnd)
  return { pid, gate: gate.writeEnd }
}

function unifiedRoot(): string {
  const { v1, unified } = parseHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'))
  if (unified !== undefined && Object.keys(v1).every((name) => name === 'systemd')) return unified
  throw new EngineError('unavailable', 'groups of systemd are supported on cgroup v2 only, and this machine has v1')
}

function managerGroup(scope: SystemdScope): string {
  using bus = new SystemdBus(scope)
  return bus.controlGroup()
}

export type SystemdGroupOptions = {
  /** `slice:prefix:name` */
  cgroupsPath: string
  scope: SystemdScope
  /** Where the group is, as an earlier instance found out; absent: systemd is asked. */
  path?: string
}

export class SystemdCgroup implements Cgroup {
  readonly version = 2
  readonly path: string
  readonly directories: Readonly<Record<string, string>>
  readonly #inner: Cgroup
  readonly #name: UnitName
  readonly #scope: SystemdScope
  #placeholder: Placeholder | undefined

  /** Throws unavailable where systemd does not run, and on cgroup v1. */
  constructor({ cgroupsPath, scope, path }: SystemdGroupOptions) {
    this.#name = parseUnitPath(cgroupsPath, scope === 'user' ? 'user.slice' : 'system.slice')
    this.#scope = scope
    this.#inner = new CgroupV2(path ?? unitPath(managerGroup(scope), this.#name), unifiedRoot(), [])
    this.path = this.#inner.path
    this.directories = this.#inner.directories
  }

  get #directory(): string {
    return this.directories.unified!
  }

  get birthplace(): string {
    return this.#directory
  }

  create(): void {
    if (existsSync(this.#directory) && this.#inner.processes().length > 0)
      throw new EngineError('conflict', `the unit ${this.#name.unit} exists and has processes in it`)
    using bus = new SystemdBus(this.#scope)
    const placeholder = makePlaceholder()
    this.#placeholder = placeholder
    try {
      const description = `container ${this.#name.unit.replace(/\.scope$/, '')}`
      bus.startUnit(this.#name.unit, creationProperties(this.#name, placeholder.pid, description))
    } catch (error) {
      this.settle()
      if (!(error instanceof DBusError)) throw error
      const kind = error.errorName.endsWith('.UnitExists') ? 'conflict' : 'internal'
      throw new EngineError(kind, `systemd does not start ${this.#name.unit}: ${error.message}`, { cause: error })
    }
  }

  settle(): void {
    if (this.#placeholder === undefined) return
    // A word, not only the end: forks of ours hold the gate open as well.
    write(this.#placeholder.gate, Buffer.alloc(1))
    close(this.#placeholder.gate)
    reap({ pid: this.#placeholder.pid, block: true })
    this.#placeholder = undefined
  }

  apply(resources: OciResources): void {
    using bus = new SystemdBus(this.#scope)
    bus.setProperties(this.#name.unit, limitProperties(resources))
    this.#inner.apply(resources)
  }

  enter(pid: number, born = false): void {
    try {
      this.#inner.enter(pid, born)
    } catch (error) {
      // A user may write to the groups below their own manager's, and not to the one they come from.
      if (!isErrno(error, 'EACCES', 'EPERM')) throw error
      using bus = new SystemdBus(this.#scope)
      bus.attach(this.#name.unit, pid)
    }
  }

  readonly doors = []

  processes(): number[] {
    return this.#inner.processes()
  }

  freeze(): void {
    this.#inner.freeze()
  }

  thaw(): void {
    this.#inner.thaw()
  }

  frozen(): boolean {
    return this.#inner.frozen()
  }

  kill(timeout: number, meanwhile?: () => void): void {
    this.#inner.kill(timeout, meanwhile)
  }

  use(): CgroupUse {
    return this.#inner.use()
  }

  oomKills(): number {
    return this.#inner.oomKills()
  }

  memoryLimited(): boolean {
    return this.#inner.memoryLimited()
  }

  remove(): void {
    this.settle()
    using bus = new SystemdBus(this.#scope)
    bus.stopUnit(this.#name.unit)
    this.#inner.remove()
  }
}
