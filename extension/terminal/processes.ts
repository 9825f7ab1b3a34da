import { setTimeout as sleep } from 'node:timers/promises'
import type { EngineClient } from '../engine-client/client.ts'
import { ApiError } from '../engine-client/errors.ts'
import type { Hijacked } from '../engine-client/transport.ts'
import type { ConsoleProcess, Size } from './console.ts'

/** Seconds that a process has between the request to end and the kill. */
const grace = 3

/** How often a terminal looks whether the engine is back. Milliseconds. */
const lookAgain = 1000

/** What a wait came to: an exit code, or that the engine went before the process did. */
type Outcome = number | null | 'engine-lost'

/** The first process of a container that was created and not started. `closed` is what becomes of the container. */
export function firstProcess(client: EngineClient, id: string, closed: ConsoleProcess['closed']): ConsoleProcess {
  let outcome: Promise<Outcome> = Promise.resolve(null)
  const resize = (size: Size): Promise<void> => client.containers.resize(id, size.columns, size.rows)
  const attach = async (): Promise<Hijacked> => {
    const connection = await client.containers.attach(id)
    outcome = outcomeOf(client, id)
    return connection
  }
  return {
    open: async (size) => {
      const connection = await attach()
      try {
        await client.containers.act(id, 'start')
      } catch (error) {
        connection.socket.destroy()
        throw error
      }
      if (size) await resize(size).catch(() => undefined)
      return connection
    },
    resize,
    resume: async (signal) =>
      (await outcome) === 'engine-lost' && (await runsAgain(client, id, signal)) ? attach() : null,
    exitCode: async () => {
      const code = await outcome
      return code === 'engine-lost' ? null : code
    },
    closed,
  }
}

async function outcomeOf(client: EngineClient, id: string): Promise<Outcome> {
  try {
    return (await client.containers.wait(id)).StatusCode
  } catch (error) {
    return error instanceof ApiError ? null : 'engine-lost'
  }
}

/** Waits for an engine that answers, and tells whether the container still runs under it. */
async function runsAgain(client: EngineClient, id: string, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    try {
      return (await client.containers.inspect(id)).State.Running
    } catch (error) {
      if (error instanceof ApiError) return false
    }
    await sleep(lookAgain, undefined, { signal }).catch(() => undefined)
  }
  return false
}

/**
 * Stops a container as its terminal closes, and removes it unless it is to be kept. Its process is told first what a
 * process is told whose terminal goes. In a hurry there is one request, which the engine carries out alone.
 */
export async function leaveContainer(client: EngineClient, id: string, keep: boolean, hurried: boolean): Promise<void> {
  const { containers } = client
  if (hurried) return await (keep ? containers.stop(id, grace) : containers.remove(id, true))
  try {
    await containers.signal(id, 'SIGHUP')
    await containers.stop(id, grace)
  } catch (error) {
    // Gone, or ended before the signal came.
    if (!(error instanceof ApiError && (error.status === 404 || error.status === 409))) throw error
  }
  if (!keep) await containers.remove(id, true)
}

const shells = [
  '/bin/bash',
  '/usr/bin/bash',
  '/usr/local/bin/bash',
  '/bin/sh',
  '/bin/ash',
  '/usr/bin/sh',
  '/busybox/sh',
]

/** The best shell that the container's file system has. Undefined: it has none. */
export async function findShell(client: EngineClient, id: string): Promise<string | undefined> {
  for (const shell of shells) if (await client.containers.hasPath(id, shell)) return shell
  return undefined
}

/** A shell beside the container's own processes. It ends with its terminal. */
export function shellProcess(client: EngineClient, containerId: string, shell: string): ConsoleProcess {
  let execId = ''
  return {
    open: async (size) => {
      const streams = { AttachStdin: true, AttachStdout: true, AttachStderr: true }
      const consoleSize: [number, number] | undefined = size && [size.rows, size.columns]
      const sized = consoleSize ? { ConsoleSize: consoleSize } : {}
      const body = { ...streams, ...sized, Tty: true, Cmd: [shell], Env: ['TERM=xterm-256color'] }
      execId = (await client.exec.create(containerId, body)).Id
      return client.exec.start(execId, { Tty: true, ...sized })
    },
    resize: ({ columns, rows }) => client.exec.resize(execId, columns, rows),
    exitCode: async () => (await client.exec.inspect(execId)).ExitCode,
    closed: async () => undefined,
  }
}
