import * as vscode from 'vscode'
import type { Face } from '../face.ts'
import { report } from '../report.ts'
import type { Clicked } from './choose.ts'

export type Command = (face: Face, clicked: Clicked) => Promise<void>

/** Commands by the name they have in package.json. What one throws is told to the user and goes no further. */
export function registerCommands(face: Face, commands: Record<string, Command>): vscode.Disposable {
  const registered = Object.entries(commands).map(([id, command]) =>
    vscode.commands.registerCommand(id, async (node?: unknown, selection?: unknown) => {
      try {
        await command(face, { node, selection })
      } catch (error) {
        await report(face.log, error)
      }
    }),
  )
  return vscode.Disposable.from(...registered)
}
