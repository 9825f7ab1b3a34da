/** What somebody sees who has the extension and no engine yet. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Bed, noBed } from './bed.ts'
import { extensionWithoutEngine } from './staged.ts'

let directory = ''

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'drydock-views-'))
  mkdirSync(join(directory, 'folder', 'greeting'), { recursive: true })
  writeFileSync(join(directory, 'folder', 'greeting', 'hello.txt'), 'hello\n')
})

after(() => rmSync(directory, { recursive: true, force: true }))

test('the views say what is missing, and what helps', { skip: noBed(), timeout: 120_000 }, async () => {
  const folder = join(directory, 'folder')
  const settings = { 'drydock.socket': join(directory, 'no.sock') }
  await using bed = await Bed.open({ folder, extension: extensionWithoutEngine(directory), settings })
  await bed.openView('Drydock')
  const containers = bed.page.getByRole('button', { name: 'Containers Section' })
  await containers.waitFor()
  for (const name of ['Images', 'Volumes & Networks', 'System'])
    await bed.page.getByRole('button', { name: `${name} Section` }).waitFor()
  await bed.page
    .getByRole('button', { name: /^(Set Up|Start) Engine$/ })
    .first()
    .waitFor()
  await bed.page.getByRole('button', { name: /Drydock: engine (not set up|stopped)/ }).waitFor()
  await bed.screenshot('views-without-engine')
})

test('a folder in the explorer offers to run in a container', { skip: noBed(), timeout: 120_000 }, async () => {
  const folder = join(directory, 'folder')
  const settings = { 'drydock.socket': join(directory, 'no.sock') }
  await using bed = await Bed.open({ folder, extension: extensionWithoutEngine(directory), settings })
  await bed.treeItem('greeting').click({ button: 'right' })
  const entries = bed.page.getByRole('menuitem', { name: /Run in Container…/ })
  await entries.first().waitFor()
  await bed.screenshot('folder-menu')
  assert.equal(await entries.count(), 1)
})

test('nothing is asked of the engine before the workspace is trusted', {
  skip: noBed(),
  timeout: 120_000,
}, async () => {
  const folder = join(directory, 'folder')
  let asked = 0
  const socket = join(directory, 'counting.sock')
  const engine = createServer((connection) => {
    asked += 1
    connection.destroy()
  })
  await using cleanup = new AsyncDisposableStack()
  cleanup.defer(() => void engine.close())
  await once(engine.listen(socket), 'listening')
  const settings = { 'drydock.socket': socket, 'security.workspace.trust.startupPrompt': 'never' }
  const extension = extensionWithoutEngine(directory)
  const bed = cleanup.use(await Bed.open({ folder, extension, settings, asksForTrust: true }))
  await bed.openView('Drydock')
  const welcome = bed.page.getByText('Drydock runs nothing in a workspace that is not trusted.').first()
  await welcome.waitFor()
  await bed.page.getByRole('button', { name: 'Drydock: workspace not trusted' }).waitFor()
  await bed.screenshot('views-untrusted')
  assert.equal(asked, 0)

  await bed.page.getByRole('button', { name: 'Manage Workspace Trust' }).first().click()
  await bed.page
    .getByRole('button', { name: /^Trust/ })
    .first()
    .click()
  await welcome.waitFor({ state: 'detached' })
  while (asked === 0) await bed.page.waitForTimeout(50)
})
