/** A further process in the container: its pipes or terminal, the quick way in where there is one, and the other one. */
import { type ExecRequest, joinContainer } from '../runtime/exec.ts'
import { executeInContainer } from '../runtime/exec-row.ts'
import type { ProcessIo } from './process-io.ts'

/** Of a container, as runc calls it: its execs find it by this name. */
export const sessionKeyring = (id: string): string => `_ses.${id}`

/** Returns when the program has been executed; throws why it was not, with nothing left of it. */
export function startExec(
  request: Omit<ExecRequest, 'streams'>,
  io: ProcessIo,
  nullDevice: number,
): { pid: number; pidfd: number } {
  const pipes = request.process.terminal === true ? undefined : io.openPipes(nullDevice)
  try {
    const quick = pipes === undefined ? undefined : executeInContainer({ ...request, streams: pipes })
    if (quick !== undefined) return quick
    const joined = joinContainer({ ...request, ...(pipes === undefined ? {} : { streams: pipes }) })
    if (joined.master !== undefined) io.setTerminal(joined.master)
    joined.start()
    return joined
  } catch (error) {
    io.abandon()
    throw error
  } finally {
    pipes?.release()
  }
}
