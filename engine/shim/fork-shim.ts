/** From a forked copy of the spawner to a supervisor with nothing of the spawner's left. */
import { closeSync, constants, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { closeFrom, placeAt, setCloseOnExec } from '../kernel/descriptors.ffi.ts'
import { setFileCreationMask } from '../kernel/identity.ffi.ts'
import { becomeSubreaper, setProcessName, startSession } from '../kernel/process.ffi.ts'
import { blockSignals, defaultSignal, ignoreSignal, signalDescriptor } from '../kernel/signals.ffi.ts'
import { signalNumbers } from '../kernel/signals.table.ts'
import { listen } from '../kernel/unix-socket.ffi.ts'
import { filterOf } from '../runtime/compiled-filter.ts'
import { parseConfig } from '../spec/config-json.ts'
import type { OciSpec } from '../spec/oci.ts'
import type { ShimConfig } from './shim.ts'

export const socketName = 'shim.sock'

/**
 * The shim's listening socket. Made before the fork, so that the daemon can connect as soon as it has the answer.
 * Through the directory's descriptor, since a socket's own path is at most 107 bytes; unix(7).
 */
export function listenIn(directory: string): number {
  const fd = openSync(directory, constants.O_DIRECTORY)
  try {
    return listen(`/proc/self/fd/${fd}/${socketName}`)
  } finally {
    closeSync(fd)
  }
}

export type ShimFiles = { directory: string; config: ShimConfig; spec: OciSpec }

/** Parsed before the fork, and the filter compiled: what the child does not touch it shares with the spawner. */
export function readShimFiles(directory: string): ShimFiles {
  const config = JSON.parse(readFileSync(join(directory, 'shim.json'), 'utf8')) as ShimConfig
  const spec = parseConfig(readFileSync(join(directory, 'config.json'), 'utf8'))
  filterOf(spec)
  return { directory, config, spec }
}

export type Settled = { first: number; nullDevice: number; signals: number }

/** Own session, own descriptors: 0–2 the null device, 3 the `first`, 4 the null device for containers, 5 the signals. */
export function settle(first: number, name: string): Settled {
  startSession()
  setProcessName(name)
  becomeSubreaper()
  for (const signal of [signalNumbers.SIGHUP, signalNumbers.SIGINT, signalNumbers.SIGTERM, signalNumbers.SIGPIPE])
    ignoreSignal(signal)
  defaultSignal(signalNumbers.SIGCHLD)
  blockSignals([signalNumbers.SIGCHLD])
  process.chdir('/')
  setFileCreationMask(0o022)
  const nothing = openSync('/dev/null', 'r+')
  placeAt(first, 3)
  for (const target of [0, 1, 2, 4]) placeAt(nothing, target)
  closeFrom(5)
  setCloseOnExec(3)
  setCloseOnExec(4)
  return { first: 3, nullDevice: 4, signals: signalDescriptor([signalNumbers.SIGCHLD]) }
}
