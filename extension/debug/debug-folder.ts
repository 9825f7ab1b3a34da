import { basename } from 'node:path'
import * as vscode from 'vscode'
import type { EngineClient } from '../engine-client/client.ts'
import type { Face } from '../face.ts'
import { report } from '../report.ts'
import { chooseImage } from '../run/choose-image.ts'
import { debugLabel, folderRequest } from '../run/folder-request.ts'
import { ensureImage } from '../run/pull-image.ts'
import { folderOf } from '../run/run-folder.ts'
import { openTerminal } from '../terminal/container-terminal.ts'
import { ownerLabels } from '../terminal/owner.ts'
import { firstProcess } from '../terminal/processes.ts'
import { attachConfiguration, debugCommand, entryOf, inspectorPort } from './debug-request.ts'
import { inspectorPath } from './inspector.ts'
import { PortForward } from './port-forward.ts'

/** Node in a container that is new to this machine may take its time. Milliseconds. */
const patience = 20_000

/** "Run and Debug in Container": Node frozen at its first line in a container, and VS Code's own debugger attached to it. */
export async function debugFolder(face: Face, clicked: vscode.Uri | undefined): Promise<void> {
  const folder = await folderOf(clicked)
  if (!folder) return
  const entry = await chooseEntry(folder)
  if (!entry) return
  const image = await chooseImage(face, folder, `Debug ${basename(folder.fsPath)} in Container`)
  if (!image) return
  const client = await face.client()
  await ensureImage(client, image)
  const request = folderRequest(folder.fsPath, image, {
    command: debugCommand(entry),
    keep: false,
    labels: { [debugLabel]: entry, ...ownerLabels() },
  })
  const { Id } = await client.containers.create(request)
  await debugContainer(face, client, folder, Id)
}

async function chooseEntry(folder: vscode.Uri): Promise<string | undefined> {
  const openFile = vscode.window.activeTextEditor?.document.uri.fsPath
  const manifest = await vscode.workspace.fs.readFile(vscode.Uri.joinPath(folder, 'package.json')).then(
    (bytes) => Buffer.from(bytes).toString('utf8'),
    () => undefined,
  )
  const found = entryOf(folder.fsPath, openFile, manifest)
  if (found) return found
  const prompt = 'The file to debug, relative to the folder'
  return await vscode.window.showInputBox({ title: 'Debug in Container', prompt, value: 'index.js' })
}

/** The container lives as long as its debug session or its terminal, whichever ends first. */
async function debugContainer(face: Face, client: EngineClient, folder: vscode.Uri, id: string): Promise<void> {
  await using stack = new AsyncDisposableStack()
  stack.defer(() => client.containers.remove(id, true))
  const dial = async () => (await client.containers.dial(id, inspectorPort)).socket
  const forward = stack.use(new PortForward(dial, (error) => face.log.warn(String(error))))
  const port = await forward.listen()
  const name = `${basename(folder.fsPath)} in Container`
  const ended = watchSession(id)
  stack.use({ [Symbol.asyncDispose]: async () => ended.dispose() })
  const process = firstProcess(client, id, async () => ended.end())
  openTerminal(face, process, { name, icon: 'debug', waitAfterFailure: true })
  const progress = { location: vscode.ProgressLocation.Window, title: 'Starting the debugger' }
  const path = await vscode.window.withProgress(progress, () => inspectorPath(client, id, inspectorPort, patience))
  const workspaceFolder = vscode.workspace.getWorkspaceFolder(folder)
  const configuration = attachConfiguration(folder.fsPath, name, { port, path }, id)
  if (!(await vscode.debug.startDebugging(workspaceFolder, configuration)))
    throw new Error(
      'The JavaScript debugger did not attach: see whether the built-in extension “JavaScript Debugger” is on.',
    )
  const owned = stack.move()
  const cleanup = face.sessions.add(() => owned.disposeAsync())
  void ended.promise.then(cleanup).catch((error) => report(face.log, error))
}

/** Resolves when the session of that container, not one of its children, is over, or `end` was called. */
function watchSession(containerId: string): { promise: Promise<void>; end(): void; dispose(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const listening = vscode.debug.onDidTerminateDebugSession((session) => {
    if (session.configuration.drydockContainer === containerId && !session.parentSession) resolve()
  })
  return {
    promise: promise.finally(() => listening.dispose()),
    end: resolve,
    dispose: () => {
      listening.dispose()
      resolve()
    },
  }
}
