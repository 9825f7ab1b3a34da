/** A container's page: use against limits while it runs, limits changed in place, namespaces, and its last start. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { noEngine, TestEngine } from '../engine/engine.ts'
import { Bed, noBed } from './bed.ts'

const skip = noEngine || noBed()

/** One process more each second, for a minute. */
const growing = 'for i in $(seq 60); do sleep 600 & sleep 1; done; wait'

test('the page of a container shows its use, and changes its limits', { skip, timeout: 180_000 }, async () => {
  await using cleanup = new AsyncDisposableStack()
  const folder = join(mkdtempSync(join(tmpdir(), 'drydock-details-')), 'folder')
  cleanup.defer(() => rmSync(join(folder, '..'), { recursive: true, force: true }))
  mkdirSync(folder)
  const engine = cleanup.use(await TestEngine.start())
  await engine.run('growing', ['sh', '-c', growing], {
    Env: ['GREETING=hello'],
    Healthcheck: { Test: ['CMD-SHELL', 'echo all is well'], Interval: 100_000_000 },
    HostConfig: { NetworkMode: 'none', Memory: 512 * 1024 ** 2, Binds: [`${folder}:/work:ro`] },
  })
  const bed = cleanup.use(await Bed.open({ folder, settings: { 'drydock.socket': engine.socket } }))
  await bed.openView('Drydock')
  await bed.treeItem(/growing/).click()
  const { webview } = bed
  await webview.getByRole('heading', { name: 'growing' }).waitFor()
  await webview.getByRole('row', { name: /^\/work .*folder bind/ }).waitFor()
  await webview.getByText('running, healthy').waitFor()
  await webview.getByText(/exit code 0: all is well$/).waitFor()
  await bed.screenshot('details-overview')
  assert.deepEqual(await bed.accessibilityProblems(), [])

  await webview.getByRole('tab', { name: 'Limits & Use' }).click()
  const alive = webview
    .getByRole('table', { name: 'Processes, last five minutes' })
    .getByRole('row', { name: /^alive/ })
  const processes = async (): Promise<number> => Number((await alive.getByRole('cell').first().textContent()) ?? '')
  await alive.waitFor()
  const first = await processes()
  while ((await processes()) < first + 2) await bed.page.waitForTimeout(100)

  // Without a mouse: from the tabs into the form.
  await webview.getByRole('tab', { name: 'Overview' }).focus()
  await bed.page.keyboard.press('ArrowRight')
  const chosen = webview.getByRole('tab', { name: 'Limits & Use' })
  assert.equal(await chosen.getAttribute('aria-selected'), 'true')
  for (const _ of ['panel', 'field']) await bed.page.keyboard.press('Tab')
  const memory = webview.getByRole('textbox', { name: 'Memory' })
  assert.ok(await memory.evaluate((input) => input === input.ownerDocument.activeElement))
  assert.equal(await memory.inputValue(), '512m')
  await memory.fill('a lot')
  await webview.getByRole('button', { name: 'Apply' }).click()
  await webview.locator('#limit-memory[aria-invalid="true"]').waitFor()
  await memory.fill('256m')
  await webview.getByRole('button', { name: 'Apply' }).click()
  await webview.getByText('The limits are in force.').waitFor()
  const { HostConfig } = (await engine.call('GET', '/containers/growing/json')).json<{
    HostConfig: { Memory: number }
  }>()
  assert.equal(HostConfig.Memory, 256 * 1024 ** 2)
  await webview
    .getByRole('table', { name: 'Memory, last five minutes' })
    .getByRole('cell', { name: /^256 MiB/ })
    .waitFor()
  await bed.screenshot('details-limits')
  assert.deepEqual(await bed.accessibilityProblems(), [])

  await webview.getByRole('tab', { name: 'Namespaces' }).click()
  await webview.getByRole('row', { name: /^pid .* nobody/ }).waitFor()
  await bed.screenshot('details-namespaces')
  assert.deepEqual(await bed.accessibilityProblems(), [])

  await webview.getByRole('tab', { name: 'Last Start' }).click()
  await webview.getByText(/^The last start took .* layers\.$/).waitFor()
  await webview.getByRole('table', { name: 'Steps of the last start' }).getByRole('row').nth(5).waitFor()
  await bed.screenshot('details-trace')
  assert.deepEqual(await bed.accessibilityProblems(), [])
})
