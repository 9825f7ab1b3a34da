/** What every verb works on: the store, the log, and the groups of this machine. */
import { readFileSync } from 'node:fs'
import type { Cgroup, CgroupHost } from '../../cgroup/cgroup.ts'
import { detectCgroups } from '../../cgroup/detect.ts'
import { NoCgroup } from '../../cgroup/none.ts'
import { SystemdCgroup } from '../../cgroup/systemd.ts'
import type { OciSpec } from '../../spec/oci.ts'
import { type ContainerStatus, statusOf } from './container-status.ts'
import type { Log } from './log.ts'
import { type CgroupRecord, type ContainerRecord, checkId, StateStore } from './state-store.ts'

export type Settings = {
  /** What the program is called in its own words. */
  program: string
  version: string
  /** Where state is kept; absolute. */
  root: string
  /** --root was given. */
  rootGiven: boolean
  systemdCgroup: boolean
  /** Control groups may be denied: an ordinary user, or --rootless. */
  rootless: boolean
  /** How many descriptors from 3 on are the caller's, without a gap. */
  inherited: number
}

export type FoundContainer = { record: ContainerRecord; cgroup: Cgroup; status: ContainerStatus }

export class Containers {
  readonly settings: Settings
  readonly log: Log
  readonly store: StateStore
  #host: CgroupHost | undefined

  constructor(settings: Settings, log: Log) {
    this.settings = settings
    this.log = log
    this.store = new StateStore(settings.root)
  }

  get host(): CgroupHost {
    this.#host ??= detectCgroups()
    return this.#host
  }

  group(record: CgroupRecord): Cgroup {
    if (record.kind === 'none') return new NoCgroup(this.#version())
    return record.kind === 'systemd' ? new SystemdCgroup(record) : this.host.group(record.path)
  }

  #version(): 1 | 2 {
    try {
      return this.host.version
    } catch {
      return 2
    }
  }

  /** Throws not-found. */
  find(id: string | undefined): FoundContainer {
    const record = this.store.load(checkId(id))
    const cgroup = this.group(record.cgroup)
    return { record, cgroup, status: statusOf(record, this.store, cgroup) }
  }

  /** Where a new container's group will be: as config.json says, else beside the caller's own group. */
  chooseGroup(id: string, spec: OciSpec): CgroupRecord {
    const asked = spec.linux?.cgroupsPath ?? ''
    if (this.settings.systemdCgroup) return systemdGroup(asked === '' ? `:drydock:${id}` : asked)
    if (this.settings.rootless && asked === '') return { kind: 'none' }
    if (asked.startsWith('/')) return { kind: 'cgroupfs', path: asked }
    return { kind: 'cgroupfs', path: `${ownGroup()}/${asked === '' ? id : asked}` }
  }
}

/** Of the machine's systemd for root, of their own for everybody else. */
function systemdGroup(cgroupsPath: string): CgroupRecord {
  const scope = process.geteuid!() === 0 ? 'system' : 'user'
  return { kind: 'systemd', path: new SystemdCgroup({ cgroupsPath, scope }).path, cgroupsPath, scope }
}

/** The caller's group, where all hierarchies have it in the same one; else the root. No slash at the end. */
function ownGroup(): string {
  const paths = new Set<string>()
  for (const line of readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n'))
    paths.add(line.split(':').slice(2).join(':'))
  const [only] = paths
  return paths.size === 1 && only !== undefined ? only.replace(/\/$/, '') : ''
}
