/** For tests that put the engine on this machine as a user does, and take it away again. */
import { spawnSync } from 'node:child_process'
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'

export const command = '/usr/local/bin/drydock'
export const places: readonly string[] = ['/opt/drydock', '/var/lib/drydock', '/run/drydock', command]

const here = places.filter((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined)

/** A reason to skip: nobody's own engine is touched. */
export const taken: string | false = here.length > 0 && `an engine is installed on this machine: ${here.join(', ')}`

/** Takes away all there is. */
export function purge(): void {
  const main = resolve(import.meta.dirname, '../../dist/engine/main.js')
  const words = [main, 'setup', 'uninstall', '--purge']
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 120_000 })
  if (status !== 0) throw new Error(`setup uninstall --purge: ${stderr}`)
}

/** Processes that run from the place of the engine. */
export const engineProcesses = (): string[] =>
  readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('/opt/drydock/')
    } catch {
      return false
    }
  })
