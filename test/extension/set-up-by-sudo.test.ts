/**
 * An ordinary user's way: the set-up asks for the password in a terminal, the socket is that user's, and what a container
 * writes into the user's folder is the user's.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ensureCodeServer, type ServerUser, serverTree } from '../../.ci/code-server.mjs'
import { noEngine } from '../engine/engine.ts'
import { Bed, noBed } from './bed.ts'
import { engineProcesses, places, purge, taken } from './installed-engine.ts'
import { wholeExtension } from './staged.ts'

const name = 'drydock-test'
const password = 'open-sesame'
const tools = ['/usr/bin/sudo', '/usr/sbin/useradd', '/usr/sbin/userdel', '/usr/sbin/chpasswd']
const missing = tools.filter((path) => !existsSync(path))
const skip = noEngine || noBed() || taken || (missing.length > 0 && `needs ${missing.join(', ')}`)

function run(program: string, words: readonly string[], input = ''): string {
  const { status, stdout, stderr, error } = spawnSync(program, words, { encoding: 'utf8', input })
  if (status !== 0) throw new Error(`${program} ${words.join(' ')}: ${error ?? stderr}`)
  return stdout.trim()
}

/** Somebody who may become root, and has to say a password for it; gone with the stack. */
function makeUser(cleanup: AsyncDisposableStack): { uid: number; gid: number } {
  const rule = `/etc/sudoers.d/${name}`
  cleanup.defer(() => {
    rmSync(rule, { force: true })
    spawnSync('/usr/sbin/userdel', ['--force', name])
  })
  run('/usr/sbin/useradd', ['--no-create-home', '--shell', '/bin/sh', name])
  run('/usr/sbin/chpasswd', [], `${name}:${password}\n`)
  writeFileSync(rule, `${name} ALL=(ALL) ALL\n`, { mode: 0o440 })
  return { uid: Number(run('id', ['-u', name])), gid: Number(run('id', ['-g', name])) }
}

/** Hard links where that user can get at them: 600 MB that are copied in no time. */
async function readable(directory: string, owner: { uid: number; gid: number }): Promise<ServerUser> {
  await ensureCodeServer()
  const tree = join(directory, 'server')
  run('cp', ['-al', serverTree, tree])
  const node = join(directory, 'node')
  linkSync(process.execPath, node)
  return { ...owner, node, tree }
}

test('set up with a password, run a folder, take it away again', { skip, timeout: 300_000 }, async () => {
  await using cleanup = new AsyncDisposableStack()
  // On one file system with what is linked; everybody may pass.
  const directory = mkdtempSync('/var/tmp/drydock-sudo-')
  cleanup.defer(() => rmSync(directory, { recursive: true, force: true }))
  chmodSync(directory, 0o755)
  const owner = makeUser(cleanup)
  const folder = join(directory, 'folder')
  mkdirSync(join(folder, 'app'), { recursive: true })
  for (const path of [folder, join(folder, 'app')]) chownSync(path, owner.uid, owner.gid)
  const user = await readable(directory, owner)
  cleanup.defer(purge)
  const env = { USER: name, LOGNAME: name }
  const bed = cleanup.use(await Bed.open({ folder, extension: wholeExtension(directory), user, env }))
  const engine = (state: string) => bed.page.getByRole('button', { name: new RegExp(`^Drydock: ${state}`) }).waitFor()

  await bed.openView('Drydock')
  await engine('engine not set up')
  await bed.page.getByRole('button', { name: 'Set Up Engine' }).first().click()
  await bed.terminalShows(/\[sudo\] password for drydock-test: ?$/)
  await bed.screenshot('set-up-password')
  await bed.type(`${password}\n`)
  await engine('engine running')
  await bed.page.locator('.terminal-wrapper').first().waitFor({ state: 'detached' })
  assert.equal(statSync('/run/drydock/docker.sock').uid, owner.uid)
  for (const path of ['/opt/drydock', '/opt/drydock/current/main.js']) assert.equal(statSync(path).uid, 0, path)

  await bed.command('View: Show Explorer')
  await bed.contextMenu('app', /Run in Container…/)
  await bed.pick('host')
  await bed.terminalShows(/[#$] ?$/m)
  await bed.type('id -u > who; mkdir made; touch made/inside\n')
  const made = join(folder, 'app', 'made', 'inside')
  while (!existsSync(made)) await bed.page.waitForTimeout(50)
  for (const path of ['who', 'made', 'made/inside'])
    assert.deepEqual([statSync(join(folder, 'app', path)).uid, path], [owner.uid, path])
  await bed.type('exit\n')
  await bed.page.locator('.terminal-wrapper').first().waitFor({ state: 'detached' })

  await bed.command('Drydock: Uninstall Engine')
  await bed.page.locator('.monaco-dialog-box').getByRole('button', { name: 'Uninstall' }).click()
  await bed.terminalShows(/\[sudo\] password for drydock-test: ?$/)
  await bed.type(`${password}\n`)
  await engine('engine not set up')
  purge()
  assert.deepEqual([places.filter((path) => existsSync(path)), engineProcesses()], [[], []])
})
