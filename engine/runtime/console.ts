/** A terminal inside the container: from its own devpts, never by a path that the container's tree can redirect. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { openPeer, unlockTerminal } from '../kernel/terminal.ffi.ts'

const ptmx = { major: 5, minor: 2 }

/** The caller is inside the container's root. Both close-on-exec; TIOCGPTPEER needs no second path. */
export function openConsole(): { master: number; slave: number } {
  const master = openSync('/dev/pts/ptmx', constants.O_RDWR | constants.O_NOCTTY | constants.O_NOFOLLOW)
  const { rdev } = fstatSync(master)
  const major = (rdev >> 8) & 0xfff
  const minor = (rdev & 0xff) | ((rdev >> 12) & 0xfff00)
  if (major !== ptmx.major || minor !== ptmx.minor) {
    closeSync(master)
    throw new EngineError('forbidden', '/dev/pts/ptmx of the container is not a terminal multiplexer')
  }
  unlockTerminal(master)
  return { master, slave: openPeer(master) }
}
