/** The way the extension is for: a folder, its menu, a terminal in a container. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { noEngine, TestEngine } from '../engine/engine.ts'
import { Bed, noBed } from './bed.ts'

const skip = noEngine || noBed()

test('right-click a folder, run it in a container, and type', { skip, timeout: 180_000 }, async () => {
  await using cleanup = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'drydock-scenario-'))
  cleanup.defer(() => rmSync(directory, { recursive: true, force: true }))
  const folder = join(directory, 'folder')
  mkdirSync(join(folder, 'greeting'), { recursive: true })
  writeFileSync(join(folder, 'greeting', 'hello.txt'), 'hello from the folder\n')
  const engine = cleanup.use(await TestEngine.start())
  const bed = cleanup.use(await Bed.open({ folder, settings: { 'drydock.socket': engine.socket } }))

  await bed.contextMenu('greeting', /Run in Container…/)
  await bed.pick('host')
  const terminal = bed.page.locator('.terminal-wrapper.active .xterm-helper-textarea')
  await terminal.waitFor({ state: 'attached' })
  await bed.terminalShows(/[#$] ?$/m)
  await terminal.focus()
  await bed.page.keyboard.type('cat hello.txt; echo made inside > answer.txt; hostname\n')
  await bed.terminalShows(/^hello from the folder$/m)
  await bed.terminalShows(/^[0-9a-f]{12}$/m)
  assert.equal(readFileSync(join(folder, 'greeting', 'answer.txt'), 'utf8'), 'made inside\n')

  await bed.openView('Drydock')
  await bed.treeItem(/host/).waitFor()
  await bed.screenshot('folder-in-container')

  await bed.page.keyboard.press('Escape')
  await terminal.focus()
  await bed.page.keyboard.type('exit\n')
  await bed.page.locator('.terminal-wrapper').first().waitFor({ state: 'detached' })
  const left = await engine.call('GET', '/containers/json?all=1')
  assert.deepEqual(left.json(), [])
})
