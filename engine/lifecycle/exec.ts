/** Further processes in a running container; wire facts 29–34. */
import type { Duplex } from 'node:stream'
import { EngineError, messageOf } from '../base/errors.ts'
import { newId } from '../base/identifier.ts'
import type { Shim } from '../shim/shim.ts'
import type { OciUser } from '../spec/oci.ts'
import type { Container } from './container.ts'
import { execProcess } from './container-process.ts'
import type { CreateExec, Exec, StartExec } from './containers.ts'
import { defaultDetachKeys, detachable, parseDetachKeys } from './detach-keys.ts'
import { announce, type Engine } from './engine.ts'
import { linkVariables, runningLinks } from './links.ts'
import { openForAccounts } from './rootfs.ts'
import { shimOf } from './shim-of.ts'
import { canBeUnknown, lookUpUser, needsLookup, resolveUser } from './user.ts'

/** Checks all that can be checked; nothing runs yet. */
export function createExec(engine: Engine, reference: string, request: CreateExec): string {
  const container = runnable(engine, engine.table.get(reference))
  if (request.cmd.length === 0 || request.cmd[0] === '') throw new EngineError('invalid', 'No exec command specified')
  if (request.detachKeys !== undefined) parseDetachKeys(request.detachKeys)
  // Throws for an unknown user, a bad variable and the like.
  execProcess(container, request, userOf(engine, container, request, canBeUnknown))
  const exec: Exec = {
    ...request,
    id: newId(),
    containerId: container.id,
    running: false,
    exitCode: null,
    pid: 0,
    started: false,
  }
  engine.execs.add(exec)
  announce(engine, container, `exec_create: ${request.cmd.join(' ')}`, { execID: exec.id })
  return exec.id
}

function runnable(engine: Engine, container: Container): Container {
  const { run, id, name } = container
  if (run.state === 'paused')
    throw new EngineError('conflict', `Container ${name} is paused, unpause the container before exec`)
  if (run.state === 'restarting')
    throw new EngineError('conflict', `Container ${id} is restarting, wait until the container is running`)
  if (run.state !== 'running' || !engine.shims.has(id))
    throw new EngineError('conflict', `container ${id} is not running`)
  return container
}

/** An exec without a user of its own runs as the container does. */
function userOf(engine: Engine, container: Container, exec: CreateExec, look = needsLookup): OciUser {
  const user = exec.user || container.config.User || ''
  const more = container.hostConfig.GroupAdd ?? []
  if (!look(user, more)) return resolveUser(user, more, [], [])
  using rootfs = openForAccounts(engine, container)
  return lookUpUser(rootfs.fd, user, more)
}

/** Resolves after the process has started, with its streams unless detached. */
export async function startExec(engine: Engine, execId: string, options: StartExec): Promise<Duplex | undefined> {
  const exec = engine.execs.get(execId)
  if (exec.running) throw new EngineError('conflict', `exec command ${execId} is already running`)
  if (exec.started) throw new EngineError('conflict', `exec command ${execId} has already run`)
  const container = runnable(engine, engine.table.byId(exec.containerId))
  const shim = shimOf(engine, container.id)
  engine.execs.change(execId, { started: true })
  const stream = await launch(engine, container, shim, exec, options)
  announce(engine, container, `exec_start: ${exec.cmd.join(' ')}`, { execID: execId })
  void watchExec(engine, container, shim, execId)
  if (stream === undefined || !exec.tty || !exec.attachStdin) return stream
  const keys = exec.detachKeys ? parseDetachKeys(exec.detachKeys) : defaultDetachKeys
  return detachable(stream, keys, () => announce(engine, container, 'exec_detach', { execID: execId }))
}

async function launch(
  engine: Engine,
  container: Container,
  shim: Shim,
  exec: Exec,
  options: StartExec,
): Promise<Duplex | undefined> {
  const size = options.consoleSize ?? exec.consoleSize
  const { attachStdin: stdin, attachStdout: stdout, attachStderr: stderr } = exec
  const links = runningLinks(engine, container)
  try {
    const request = {
      execId: exec.id,
      process: execProcess(container, exec, userOf(engine, container, exec), linkVariables(container, links)),
      openStdin: exec.attachStdin && !options.detach,
      ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
      ...(size === undefined ? {} : { consoleSize: { height: size[0], width: size[1] } }),
    }
    // Wire fact 17: how the client reads it, whatever the process has.
    const streams = { stdin, stdout, stderr, framed: !options.tty }
    const { pid, stream } = options.detach
      ? { ...(await shim.exec(request)), stream: undefined }
      : await shim.execAttached(request, streams)
    engine.execs.change(exec.id, { running: true, pid })
    return stream
  } catch (error) {
    throw execFailure(engine, exec.id, error)
  }
}

/** Wire fact 29: 126 where it cannot be executed, 127 where it is not there. */
function execFailure(engine: Engine, execId: string, error: unknown): EngineError {
  const message = messageOf(error)
  const code = /permission denied|is a directory/i.test(message)
    ? 126
    : /not found|no such file/i.test(message)
      ? 127
      : 126
  engine.execs.ended(execId, code)
  return new EngineError('invalid', `OCI runtime exec failed: exec failed: ${message}`, { cause: error })
}

async function watchExec(engine: Engine, container: Container, shim: Shim, execId: string): Promise<void> {
  // A supervisor that goes takes its execs along.
  const { exitCode, timedOut = false } = await shim.execExited(execId)
  if (timedOut) engine.execs.change(execId, { timedOut })
  engine.execs.ended(execId, exitCode)
  announce(engine, container, 'exec_die', { execID: execId, exitCode: String(exitCode) })
}

/** How long a resize waits for an exec that has not started yet; wire fact 35. */
const resizePatience = 10_000

export async function resizeExec(
  engine: Engine,
  execId: string,
  size: { height: number; width: number },
): Promise<void> {
  const exec = await engine.execs.whenRunning(execId, resizePatience)
  if (!exec.running) throw new EngineError('conflict', `exec process ${execId} is not running`)
  await shimOf(engine, exec.containerId).resize(size, execId)
}
