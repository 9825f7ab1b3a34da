/** `--init`: a small process of the engine's own is the container's first, and the user's command its child; wire fact 141. */
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EngineError } from '../base/errors.ts'
import { initProgram } from '../kernel/init-program.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { bindMount } from '../spec/mounts.ts'
import type { OciMount } from '../spec/oci.ts'
import type { Container, HostConfig } from './container.ts'

const inContainer = '/sbin/docker-init'

/** In a namespace that is shared there is a first process already; as dockerd, the flag is then without effect. */
const hasInit = ({ Init, PidMode }: HostConfig): boolean => Init === true && (!PidMode || PidMode === 'private')

/** The words of the container's first process. */
export const firstWords = ({ path, args, hostConfig }: Pick<Container, 'path' | 'args' | 'hostConfig'>): string[] =>
  hasInit(hostConfig) ? [inContainer, '--', path, ...args] : [path, ...args]

/** Throws invalid where there is no such program for this machine's processor. */
export function checkInit(host: HostConfig, machine: string = process.arch): void {
  if (hasInit(host)) programFor(machine)
}

function programFor(machine: string): Buffer {
  const program = initProgram(machine)
  if (program === undefined)
    throw new EngineError('invalid', `an init process (--init) is not available on machines of the kind ${machine}`)
  return program
}

/** @param execRoot the file is kept there, one for all containers, and is made when the first one needs it */
export function initMounts(execRoot: string, hostConfig: HostConfig): OciMount[] {
  if (!hasInit(hostConfig)) return []
  const bind = bindMount({
    source: writeProgram(execRoot),
    destination: inContainer,
    readOnly: true,
    recursive: false,
  })
  // Many systems mount /run so that nothing on it can be executed.
  return [{ ...bind, options: [...(bind.options ?? []), 'exec'] }]
}

function writeProgram(execRoot: string): string {
  const path = join(execRoot, 'init')
  const program = programFor(process.arch)
  if (contentOf(path)?.equals(program) === true) return path
  // Whole under another name first: containers may have the file of an earlier engine mounted, or run it.
  const fresh = `${path}.new`
  writeFileSync(fresh, program)
  chmodSync(fresh, 0o755)
  renameSync(fresh, path)
  return path
}

function contentOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
