/** The process part of a container's OCI config, for its first process and for execs. */
import { posix } from 'node:path'
import { build, when } from '../spec/build.ts'
import { withCapabilities } from '../spec/capabilities.ts'
import { defaults } from '../spec/defaults.ts'
import type { OciProcess, OciUser } from '../spec/oci.ts'
import {
  environment,
  withApparmorProfile,
  withArguments,
  withEnvironment,
  withNoNewPrivileges,
  withOomScoreAdjustment,
  withTerminal,
  withUlimits,
  withUser,
  withWorkingDirectory,
} from '../spec/process.ts'
import { apparmorProfile } from './apparmor.ts'
import type { Container, HostConfig } from './container.ts'
import type { CreateExec } from './containers.ts'
import { firstWords } from './init-process.ts'
import { securityOptions } from './security-options.ts'

export const hostnameOf = (container: Pick<Container, 'config' | 'id'>): string =>
  container.config.Hostname || container.id.slice(0, 12)

const capabilitiesOf = (host: HostConfig, privileged: boolean) =>
  withCapabilities({ add: host.CapAdd ?? [], drop: host.CapDrop ?? [], privileged })

/** Wire facts 128, 135, 139. */
export function containerProcess(container: Container, user: OciUser, variables: readonly string[] = []): OciProcess {
  const { config, hostConfig } = container
  const terminal = config.Tty === true
  const security = securityOptions(hostConfig.SecurityOpt ?? [])
  const apparmor = apparmorProfile(hostConfig)
  const [height = 0, width = 0] = hostConfig.ConsoleSize ?? []
  const spec = build(
    defaults(),
    withArguments(firstWords(container)),
    withEnvironment({ hostname: hostnameOf(container), terminal, variables: [...variables, ...(config.Env ?? [])] }),
    withWorkingDirectory(config.WorkingDir ?? ''),
    withUser(user),
    capabilitiesOf(hostConfig, hostConfig.Privileged === true),
    withUlimits(hostConfig.Ulimits ?? []),
    when(terminal, withTerminal(height > 0 && width > 0 ? { height, width } : undefined)),
    when(hostConfig.OomScoreAdj !== undefined, withOomScoreAdjustment(hostConfig.OomScoreAdj ?? 0)),
    when(security.noNewPrivileges, withNoNewPrivileges()),
    when(apparmor !== undefined, withApparmorProfile(apparmor ?? '')),
  )
  return spec.process as OciProcess
}

/**
 * Wire fact 32: the container's environment, overlaid by the exec's own; `privileged` raises capabilities only.
 *
 * @param variables of linked containers, as they are now
 */
export function execProcess(
  container: Container,
  exec: CreateExec,
  user: OciUser,
  variables: readonly string[] = [],
): OciProcess {
  const base = containerProcess(container, user)
  const raised = build(
    { ociVersion: '', root: { path: '' }, process: base },
    when(exec.privileged, capabilitiesOf(container.hostConfig, true)),
  ).process as OciProcess
  const { terminal: _terminal, consoleSize: _size, ...process } = raised
  return {
    ...process,
    args: exec.cmd,
    env: environment({
      hostname: hostnameOf(container),
      terminal: exec.tty,
      variables: [...variables, ...(container.config.Env ?? []), ...exec.env],
    }),
    cwd: exec.workingDir === '' ? base.cwd : posix.resolve('/', exec.workingDir),
    ...(exec.tty ? { terminal: true } : {}),
  }
}
