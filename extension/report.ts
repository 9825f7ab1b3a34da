import * as vscode from 'vscode'
import { isAbort, messageOf } from './engine-client/errors.ts'
import { HinderedError } from './engine-life/engine-life.ts'
import { hindrances } from './engine-life/state.ts'

const showLog = { title: 'Show Log', command: 'drydock.engine.showLog' }

/** Tells the user in one sentence, with a button for what helps. Who cancelled needs no message. */
export async function report(log: vscode.LogOutputChannel, error: unknown): Promise<void> {
  if (isAbort(error) || error instanceof vscode.CancellationError) return
  const remedy = error instanceof HinderedError ? hindrances[error.state].remedy : showLog
  const sentence = asSentence(messageOf(error))
  if (error instanceof HinderedError) log.info(sentence)
  else log.error(error instanceof Error ? error : sentence)
  const show = error instanceof HinderedError ? vscode.window.showWarningMessage : vscode.window.showErrorMessage
  if (await show(sentence, remedy.title)) await vscode.commands.executeCommand(remedy.command)
}

/** The engine's messages are Docker's: without a capital letter and a full stop. */
const asSentence = (message: string): string => {
  const text = message.trim()
  const ended = /[.!?]$/.test(text) ? text : `${text}.`
  return ended.charAt(0).toUpperCase() + ended.slice(1)
}
