/**
 * The engine put on this machine, stopped, started and taken away again by clicks. Where the editor's extensions run
 * as root nobody is asked, and the first one comes by itself.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { noEngine } from '../engine/engine.ts'
import { Bed, noBed } from './bed.ts'

const command = '/usr/local/bin/drydock'
const places = ['/opt/drydock', '/var/lib/drydock', '/run/drydock', command]
const here = places.filter((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined)
const taken = here.length > 0 && `an engine is installed on this machine: ${here.join(', ')}`
const skip = noEngine || noBed() || taken

/** The installed engine's own command line. */
function drydock(...words: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, words, { encoding: 'utf8', timeout: 60_000 })
  assert.equal(status, 0, `drydock ${words.join(' ')}: ${error ?? stderr}`)
  return stdout.trim()
}

function purge(): void {
  const main = resolve(import.meta.dirname, '../../dist/engine/main.js')
  const words = [main, 'setup', 'uninstall', '--purge']
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 120_000 })
  assert.equal(status, 0, stderr)
}

/** Processes that run from the place of the engine. */
const processes = (): string[] =>
  readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('/opt/drydock/')
    } catch {
      return false
    }
  })

test('set up, stop, start and uninstall the engine', { skip, timeout: 240_000 }, async () => {
  await using cleanup = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'drydock-set-up-'))
  cleanup.defer(() => rmSync(directory, { recursive: true, force: true }))
  const folder = join(directory, 'folder')
  mkdirSync(folder)
  cleanup.defer(purge)
  const bed = cleanup.use(await Bed.open({ folder }))
  const engine = (state: string) => bed.page.getByRole('button', { name: new RegExp(`^Drydock: ${state}`) }).waitFor()
  const welcome = (name: string) => bed.page.getByRole('button', { name }).first()

  await bed.openView('Drydock')
  await engine('engine running')
  await bed.command('Drydock: Uninstall Engine')
  await bed.page.locator('.monaco-dialog-box').getByRole('button', { name: 'Uninstall' }).click()
  await engine('engine not set up')
  for (const path of ['/opt/drydock', '/run/drydock', command]) assert.ok(!existsSync(path), `${path} is gone`)

  await welcome('Set Up Engine').click()
  await engine('engine running')
  drydock('run', '--detach', '--name', 'lasting', 'host', 'sleep', '1000')
  await bed.treeItem(/lasting.* running/).waitFor()

  await bed.command('Drydock: Stop Engine')
  await engine('engine stopped')
  await welcome('Start Engine').click()
  await engine('engine running, 1 container running')
  await bed.treeItem(/lasting.* running/).waitFor()
  assert.equal(drydock('exec', 'lasting', 'echo', 'still here'), 'still here')

  purge()
  await engine('engine not set up')
  assert.deepEqual(
    places.filter((path) => existsSync(path)),
    [],
  )
  assert.deepEqual(processes(), [])
})
