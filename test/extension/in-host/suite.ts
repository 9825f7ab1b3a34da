/** Runs inside the extension host. Bundled by in-host.test.ts; VS Code calls `run`. */
import assert from 'node:assert/strict'
import * as vscode from 'vscode'

type Case = readonly [name: string, run: () => Promise<void>]

const extension = (): vscode.Extension<unknown> => {
  const found = vscode.extensions.getExtension('drydock.drydock')
  assert.ok(found, 'the extension is not here')
  return found
}

const cases: readonly Case[] = [
  [
    'it activates without an engine, and quickly',
    async () => {
      await extension().activate()
      assert.equal(extension().isActive, true)
    },
  ],
  [
    'every command of the manifest is registered, and no other',
    async () => {
      const contributed = extension().packageJSON.contributes.commands.map(
        ({ command }: { command: string }) => command,
      )
      const all = await vscode.commands.getCommands(true)
      const ours = all.filter((name) => contributed.includes(name))
      assert.deepEqual(ours.sort(), contributed.sort())
    },
  ],
  [
    'every menu entry names a command that exists',
    async () => {
      const { commands, menus } = extension().packageJSON.contributes
      const known = new Set(commands.map(({ command }: { command: string }) => command))
      for (const entries of Object.values(menus) as { command?: string }[][])
        for (const { command } of entries) if (command !== undefined) assert.ok(known.has(command), command)
    },
  ],
  [
    'a view can be opened without an engine',
    async () => {
      await vscode.commands.executeCommand('drydock.containers.focus')
    },
  ],
]

export async function run(): Promise<void> {
  const failed: string[] = []
  for (const [name, work] of cases) {
    try {
      await work()
      console.log(`in-host ok: ${name}`)
    } catch (error) {
      failed.push(name)
      console.log(`in-host failed: ${name}: ${error instanceof Error ? error.stack : error}`)
    }
  }
  console.log(`in-host cases: ${cases.length}, failed: ${failed.length}`)
  if (failed.length > 0) throw new Error(`failed: ${failed.join('; ')}`)
}
