import { basename } from 'node:path'
import * as vscode from 'vscode'
import type { EngineClient } from '../engine-client/client.ts'
import { messageOf } from '../engine-client/errors.ts'
import type { Face } from '../face.ts'
import { openTerminal } from '../terminal/container-terminal.ts'
import { ownerLabels } from '../terminal/owner.ts'
import { firstProcess, leaveContainer } from '../terminal/processes.ts'
import { chooseImage } from './choose-image.ts'
import { folderRequest, shellCommand } from './folder-request.ts'
import { ensureImage } from './pull-image.ts'

/** The folder a command is about: the one clicked on, the only one of the workspace, or the one picked. */
export async function folderOf(clicked: vscode.Uri | undefined): Promise<vscode.Uri | undefined> {
  if (clicked instanceof vscode.Uri) return onThisMachine(clicked)
  const folders = vscode.workspace.workspaceFolders ?? []
  if (folders.length === 0) throw new Error('Open a folder first: a container is run for a folder.')
  const picked = folders.length === 1 ? folders[0] : await vscode.window.showWorkspaceFolderPick()
  return picked && onThisMachine(picked.uri)
}

function onThisMachine(uri: vscode.Uri): vscode.Uri {
  if (uri.scheme !== 'file') throw new Error(`Only a folder of this machine's disk can be mounted, not ${uri.scheme}:.`)
  return uri
}

export const keepSetting = (): boolean =>
  vscode.workspace.getConfiguration('drydock').get<boolean>('keepContainers') ?? false

/** "Run in Container…": asks for an image, and opens a terminal in the folder inside it. */
export async function runFolder(face: Face, clicked: vscode.Uri | undefined): Promise<void> {
  const folder = await folderOf(clicked)
  if (!folder) return
  const name = basename(folder.fsPath)
  const image = await chooseImage(face, folder, `Run ${name} in Container`)
  if (!image) return
  const client = await face.client()
  await ensureImage(client, image)
  const keep = keepSetting()
  const id = await createForFolder(face, client, folder.fsPath, image, keep)
  const closed = (hurried: boolean): Promise<void> => leaveContainer(client, id, keep, hurried)
  openTerminal(face, firstProcess(client, id, closed), {
    name: `${name} (${image})`,
    icon: 'package',
    waitAfterFailure: false,
  })
}

/** With a shell where the image has one, else with what the image itself runs. */
async function createForFolder(
  face: Face,
  client: EngineClient,
  folder: string,
  image: string,
  keep: boolean,
): Promise<string> {
  const labels = keep ? {} : ownerLabels()
  const request = folderRequest(folder, image, { command: shellCommand, keep, labels })
  const { Id, Warnings } = await client.containers.create(request)
  for (const warning of Warnings ?? []) face.log.warn(warning)
  if (await hasShell(face, client, Id)) return Id
  await client.containers.remove(Id, true)
  return (await client.containers.create(folderRequest(folder, image, { keep, labels }))).Id
}

/** An engine that can't look into a container that was not started is given the benefit of the doubt. */
async function hasShell(face: Face, client: EngineClient, id: string): Promise<boolean> {
  try {
    return await client.containers.hasPath(id, '/bin/sh')
  } catch (error) {
    face.log.warn(messageOf(error))
    return true
  }
}
