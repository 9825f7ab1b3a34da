/** How a container ended, in its directory: for the daemon after the one that was told. */
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProcessExit } from './shim.ts'

/** Written aside and renamed: a reader sees a whole record or none. */
export function writeExit(directory: string, exit: ProcessExit): void {
  const path = join(directory, 'exit.json')
  rmSync(`${path}.new`, { force: true })
  writeFileSync(`${path}.new`, JSON.stringify(exit))
  renameSync(`${path}.new`, path)
}
