import * as vscode from 'vscode'
import type { EngineClient } from '../engine-client/client.ts'
import { isAbort, messageOf } from '../engine-client/errors.ts'
import { PullProgress } from './pull-progress.ts'

/** Pulls with a progress that can be cancelled; throws CancellationError then. */
export async function pullImage(client: EngineClient, reference: string): Promise<void> {
  const options = { location: vscode.ProgressLocation.Notification, title: `Pulling ${reference}`, cancellable: true }
  await vscode.window.withProgress(options, async (progress, cancelled) => {
    const abort = new AbortController()
    const listening = cancelled.onCancellationRequested(() => abort.abort())
    const sum = new PullProgress()
    try {
      for await (const line of client.store.pull(reference, abort.signal)) progress.report(sum.push(line))
    } catch (error) {
      if (cancelled.isCancellationRequested || isAbort(error)) throw new vscode.CancellationError()
      throw new Error(`${reference} could not be pulled: ${messageOf(error)}`, { cause: error })
    } finally {
      listening.dispose()
    }
  })
}

/** Pulls only what is not there. */
export async function ensureImage(client: EngineClient, reference: string): Promise<void> {
  if (!(await client.store.hasImage(reference))) await pullImage(client, reference)
}
