/** "Run and Debug in Container": VS Code's own debugger stops at a breakpoint of a program inside a container. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { noEngine, TestEngine } from '../engine/engine.ts'
import { Bed, noBed } from './bed.ts'

/** The image `host` has this machine's own programs. */
const noNode = !['/usr/bin', '/usr/local/bin'].some((path) => existsSync(join(path, 'node'))) && 'needs node in /usr'
const skip = noEngine || noBed() || noNode

const program = `const { hostname } = require('node:os')
const { writeFileSync } = require('node:fs')
const answer = 6 * 7
writeFileSync('answer.txt', answer + ' from ' + hostname())
`

test('a breakpoint stops a program in a container', { skip, timeout: 180_000 }, async () => {
  await using cleanup = new AsyncDisposableStack()
  const folder = join(mkdtempSync(join(tmpdir(), 'drydock-debug-')), 'folder')
  cleanup.defer(() => rmSync(join(folder, '..'), { recursive: true, force: true }))
  mkdirSync(join(folder, 'app'), { recursive: true })
  writeFileSync(join(folder, 'app', 'program.js'), program)
  const engine = cleanup.use(await TestEngine.start())
  const bed = cleanup.use(await Bed.open({ folder, settings: { 'drydock.socket': engine.socket } }))
  const { page } = bed

  await bed.treeItem('app').click()
  await bed.treeItem('program.js').dblclick()
  await page.locator('.view-line').filter({ hasText: '6 * 7' }).click()
  await page.keyboard.press('F9')
  await page.locator('.codicon-debug-breakpoint, .codicon-debug-breakpoint-unverified').first().waitFor()
  await bed.contextMenu('app', /Run and Debug in Container/)
  await bed.pick('host')

  await page.locator('.debug-top-stack-frame-line').waitFor()
  await bed.screenshot('debug-stopped')
  await page.locator('.debug-call-stack .stack-frame').first().filter({ hasText: '3:16' }).waitFor()
  const [running] = (await engine.call('GET', '/containers/json')).json<{ Id: string }[]>()
  assert.ok(running, 'the program runs in a container')

  await page.keyboard.press('F5')
  await page.locator('.debug-toolbar').waitFor({ state: 'hidden' })
  assert.equal(readFileSync(join(folder, 'app', 'answer.txt'), 'utf8'), `42 from ${running.Id.slice(0, 12)}`)
  await page.locator('.terminal-wrapper').first().waitFor({ state: 'detached' })
  assert.deepEqual((await engine.call('GET', '/containers/json?all=1')).json(), [])
})
