import * as vscode from 'vscode'
import type { PrunePreviewRequest } from '../../engine/api/contract/drydock.ts'
import type { EngineClient } from '../engine-client/client.ts'
import { formatBytes } from '../engine-client/format.ts'
import { confirm } from './choose.ts'
import type { Command } from './command.ts'
import { itemCount, pruneChoices, pruneDetail, pruneRequest, pruneSummary } from './prune-text.ts'

/** Removes what nobody uses, after showing what that is and how much it holds. */
export const prune: Command = async (face) => {
  const client = await face.client()
  const picked = await vscode.window.showQuickPick([...pruneChoices], {
    title: 'Prune',
    placeHolder: 'What may go? You see what it is before anything is removed.',
    canPickMany: true,
  })
  if (!picked || picked.length === 0) return
  const request = pruneRequest(picked.map((choice) => choice.key))
  const preview = await client.prunePreview(request)
  if (itemCount(preview) === 0) {
    void vscode.window.showInformationMessage('There is nothing to prune.')
    return
  }
  if (!(await confirm(`Remove ${pruneSummary(preview)}?`, pruneDetail(preview), 'Remove'))) return
  const options = { location: vscode.ProgressLocation.Notification, title: 'Pruning' }
  const freed = await vscode.window.withProgress(options, () => pruneAll(client, request))
  void vscode.window.showInformationMessage(`Pruned: ${formatBytes(freed)} are free again.`)
}

/** Order matters: containers use the rest. Resolves with the bytes that became free. */
async function pruneAll(client: EngineClient, request: PrunePreviewRequest): Promise<number> {
  let freed = 0
  if (request.Containers) freed += (await client.containers.prune()).SpaceReclaimed
  if (request.Networks) await client.store.pruneNetworks()
  if (request.Volumes) freed += (await client.store.pruneVolumes(request.AllVolumes === true)).SpaceReclaimed
  if (request.Images) freed += (await client.store.pruneImages(request.AllImages === true)).SpaceReclaimed
  return freed
}
