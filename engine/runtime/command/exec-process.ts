/** `exec`: a further process in a running container. */
import { resolve } from 'node:path'
import { EngineError, messageOf } from '../../base/errors.ts'
import { enteredBelow, parseSubgroups } from '../../cgroup/subgroup.ts'
import { parseNumberList } from '../../spec/number-list.ts'
import type { OciProcess } from '../../spec/oci.ts'
import { joinContainer } from '../exec.ts'
import { forgetAffinity } from '../scheduling.ts'
import { checkProcess, completedProcess, readProcess, readSpec } from './bundle.ts'
import type { Containers } from './containers.ts'
import type { ParsedFlags } from './flags.ts'
import { checkTerminal, ProcessStart, startOptions } from './process-start.ts'
import type { ContainerRecord } from './state-store.ts'

export function execVerb(containers: Containers, flags: ParsedFlags): number {
  const { record, cgroup, status } = containers.find(flags.args[0])
  if (status === 'stopped') throw new EngineError('conflict', 'cannot exec in a stopped container')
  if (status === 'paused' && !flags.is('ignore-paused'))
    throw new EngineError('conflict', 'cannot exec in a paused container (use --ignore-paused to override)')
  const process = completedProcess(processOf(record, flags), (sentence) => containers.log.warn(sentence))
  const options = startOptions(flags, {
    detached: flags.is('detach'),
    inherited: containers.settings.inherited,
    activated: false,
  })
  const subgroups = parseSubgroups(flags.list('cgroup'))
  checkTerminal(process.terminal === true, options)
  using start = new ProcessStart(process, options, containers.log)
  containers.log.debug('nsexec container setup: forking the process')
  const initial = process.execCPUAffinity?.initial ?? ''
  if (initial !== '') containers.log.debug(`nsexec: affinity: 0x${affinityMask(initial).toString(16)}`)
  forgetAffinity()
  const joined = join(() =>
    joinContainer({
      id: record.id,
      bundle: record.bundle,
      pid: record.pid,
      process,
      spec: record.spec,
      cgroup: subgroups.size === 0 ? cgroup : enteredBelow(cgroup, subgroups),
      supervised: false,
      warn: (sentence) => containers.log.warn(sentence),
      preserved: options.preserved,
      ...(record.keyring === undefined ? {} : { keyring: record.keyring }),
      ...(start.streams === undefined ? {} : { streams: start.streams }),
    }),
  )
  try {
    start.created(joined)
    containers.log.debug(`child process in init(): ${joined.pid}`)
    for (const [name, milliseconds] of joined.steps)
      containers.log.debug(`init: ${name}: ${milliseconds.toFixed(2)} ms`)
    containers.log.debug('setns_init: about to exec')
  } catch (error) {
    joined.abandon()
    throw error
  }
  join(() => joined.start())
  start.writePidFile(joined.pid)
  return options.detached ? 0 : start.follow(joined, () => undefined)
}

const affinityMask = (list: string): bigint =>
  parseNumberList(list).reduce((mask, cpu) => mask | (1n << BigInt(cpu)), 0n)

function join<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new EngineError('internal', `unable to start container process: ${messageOf(error)}`, { cause: error })
  }
}

function processOf(record: ContainerRecord, flags: ParsedFlags): OciProcess {
  const path = flags.text('process')
  if (path !== undefined) return readProcess(resolve(path))
  const args = flags.args.slice(1)
  if (args.length === 0) throw new EngineError('invalid', 'exec args cannot be empty')
  const process = withFlags({ ...readSpec(record.bundle).process!, args }, flags)
  checkProcess(process)
  return process
}

/** The container's own process, changed by what was asked for. */
function withFlags(base: OciProcess, flags: ParsedFlags): OciProcess {
  const [cwd, apparmorProfile, selinuxLabel] = ['cwd', 'apparmor', 'process-label'].map((name) => flags.text(name))
  return {
    ...base,
    terminal: flags.is('tty'),
    env: [...(base.env ?? []), ...flags.list('env')],
    user: withUser(base.user, flags),
    ...(cwd === undefined ? {} : { cwd }),
    ...(apparmorProfile === undefined ? {} : { apparmorProfile }),
    ...(selinuxLabel === undefined ? {} : { selinuxLabel }),
    ...(flags.has('no-new-privs') ? { noNewPrivileges: flags.is('no-new-privs') } : {}),
    ...withCapabilities(base.capabilities, flags.list('cap')),
  }
}

function withUser(base: OciProcess['user'], flags: ParsedFlags): OciProcess['user'] {
  const [uid, gid] = (flags.text('user') ?? '').split(':')
  const groups = flags.list('additional-gids').map((text) => {
    if (!/^\d+$/.test(text)) throw new EngineError('invalid', `additional-gids must be a positive number ${text}`)
    return Number(text)
  })
  return {
    ...base,
    ...(uid === undefined || uid === '' ? {} : { uid: numberOf(uid, 'uid') }),
    ...(gid === undefined ? {} : { gid: numberOf(gid, 'gid') }),
    ...(groups.length === 0 ? {} : { additionalGids: [...(base.additionalGids ?? []), ...groups] }),
  }
}

function numberOf(text: string, what: string): number {
  if (!/^\d+$/.test(text)) throw new EngineError('invalid', `bad ${what}: ${JSON.stringify(text)} is not a number`)
  return Number(text)
}

/** Ambient ones need inheritable ones, which are not added: so only where the container has some. */
function withCapabilities(
  base: OciProcess['capabilities'],
  added: readonly string[],
): Pick<OciProcess, 'capabilities'> {
  if (added.length === 0) return base === undefined ? {} : { capabilities: base }
  const plus = (names: readonly string[] | undefined): string[] => [...(names ?? []), ...added]
  return {
    capabilities: {
      ...base,
      bounding: plus(base?.bounding),
      effective: plus(base?.effective),
      permitted: plus(base?.permitted),
      ...(base?.inheritable === undefined ? {} : { ambient: plus(base.ambient) }),
    },
  }
}
