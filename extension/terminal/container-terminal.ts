import * as vscode from 'vscode'
import { messageOf } from '../engine-client/errors.ts'
import type { Face } from '../face.ts'
import { report } from '../report.ts'
import { Console, type ConsoleProcess, type Size } from './console.ts'

export type TerminalLook = {
  name: string
  icon: string
  /** A process that fails keeps its terminal open, so that its last words can be read. */
  waitAfterFailure: boolean
}

/** Shows a process of the engine as a terminal of VS Code. */
export function openTerminal(face: Face, process: ConsoleProcess, look: TerminalLook): vscode.Terminal {
  const written = new vscode.EventEmitter<string>()
  const ended = new vscode.EventEmitter<void>()
  let over = false
  const waitForKey = (words: string): void => {
    over = true
    written.fire(`\r\n\x1b[2m${words} Press any key to close this terminal.\x1b[0m\r\n`)
  }
  const shown: Console = new Console(process, {
    write: (text) => written.fire(text),
    ended: (code) => {
      leave()
      if (look.waitAfterFailure && code !== null && code !== 0) waitForKey(`The process ended with exit code ${code}.`)
      else ended.fire()
    },
    failed: (error) => {
      leave()
      waitForKey(messageOf(error))
      void report(face.log, error)
    },
  })
  const close = face.sessions.add((hurried) => shown.close(hurried))
  // VS Code tells a terminal of its end only where the user ends it.
  const leave = (): void => void close().catch((error) => report(face.log, error))
  const pty: vscode.Pseudoterminal = {
    onDidWrite: written.event,
    onDidClose: ended.event,
    open: (size) => void shown.open(size && sizeOf(size)),
    setDimensions: (size) => shown.resize(sizeOf(size)),
    handleInput: (text) => {
      if (over) ended.fire()
      else shown.input(text)
    },
    close: leave,
  }
  const iconPath = new vscode.ThemeIcon(look.icon)
  const terminal = vscode.window.createTerminal({ name: look.name, pty, iconPath, isTransient: true })
  terminal.show()
  return terminal
}

const sizeOf = ({ columns, rows }: vscode.TerminalDimensions): Size => ({ columns, rows })
