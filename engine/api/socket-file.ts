/** The socket that clients connect to: who has it may do everything, so it is never open to more than its owner. */
import { chmodSync, chownSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import type { Server } from 'node:net'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { EngineError } from '../base/errors.ts'

export type SocketOwner = { uid: number; gid: number }

/** unix(7): sun_path. The socket is made under a longer name first. */
const longestPath = 107
const suffix = '.new'

/** Does anyone answer at the path? */
const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })

async function refuseTaken(path: string): Promise<void> {
  const status = lstatSync(path, { throwIfNoEntry: false })
  if (status === undefined) return
  if (!status.isSocket())
    throw new EngineError('conflict', `cannot listen on ${path}: a file that is no socket is there already`)
  if (await answers(path))
    throw new EngineError('conflict', `cannot listen on ${path}: another engine answers there already`)
}

/**
 * Listens at `path` with mode 0660. Made beside it and renamed: nobody ever sees it with other rights, and the socket of
 * a dead engine is replaced. conflict where a live one listens. The result removes it again.
 */
export async function listenOn(server: Server, path: string, owner: SocketOwner): Promise<Disposable> {
  if (Buffer.byteLength(path + suffix) > longestPath)
    throw new EngineError(
      'invalid',
      `cannot listen on ${path}: the path of a socket has at most ${longestPath - suffix.length} bytes`,
    )
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  await refuseTaken(path)
  const fresh = path + suffix
  rmSync(fresh, { force: true })
  const mask = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(fresh, () => {
        server.off('error', reject)
        resolve()
      })
    })
  } finally {
    process.umask(mask)
  }
  chownSync(fresh, owner.uid, owner.gid)
  chmodSync(fresh, 0o660)
  renameSync(fresh, path)
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) }
}

/** The socket that the service manager listens on for this process; sd_listen_fds(3). Undefined: there is none. */
export function inheritedSocket(environment: NodeJS.ProcessEnv = process.env): number | undefined {
  const firstDescriptor = 3
  return environment.LISTEN_PID === String(process.pid) && environment.LISTEN_FDS === '1' ? firstDescriptor : undefined
}
