/**
 * The engine put on this machine, stopped, started and taken away again by clicks. Where the editor's extensions run
 * as root nobody is asked, and the first one comes by itself.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { noEngine } from '../engine/engine.ts'
import { Bed, noBed } from './bed.ts'
import { command, engineProcesses, places, purge, taken } from './installed-engine.ts'

const skip = noEngine || noBed() || taken

/** The installed engine's own command line. */
function drydock(...words: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, words, { encoding: 'utf8', timeout: 60_000 })
  assert.equal(status, 0, `drydock ${words.join(' ')}: ${error ?? stderr}`)
  return stdout.trim()
}

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
  assert.deepEqual(engineProcesses(), [])
})
