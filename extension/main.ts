import * as vscode from 'vscode'
import { registerCommands } from './commands/command.ts'
import { containerCommands } from './commands/container-commands.ts'
import { engineCommands } from './commands/engine-commands.ts'
import { prune } from './commands/prune.ts'
import { storeCommands } from './commands/store-commands.ts'
import { debugFolder } from './debug/debug-folder.ts'
import { registerDetails } from './details/details-panel.ts'
import { registerInspectDocuments } from './documents/inspect-documents.ts'
import { registerLogDocuments } from './documents/log-documents.ts'
import { EngineLife } from './engine-life/engine-life.ts'
import { EngineSetup } from './engine-life/setup.ts'
import { StatusBar } from './engine-life/status-bar.ts'
import type { Face } from './face.ts'
import { report } from './report.ts'
import { runFolder } from './run/run-folder.ts'
import { runImage } from './run/run-image.ts'
import { OpenSessions } from './terminal/open-sessions.ts'
import { removeOrphans } from './terminal/sweep.ts'
import { Inventory } from './views/inventory.ts'
import { registerViews } from './views/register-views.ts'

/** VS Code gives a closing extension five seconds. Milliseconds. */
const farewell = 4000

let face: Face | undefined

/** Waits for nothing and throws nothing: what goes wrong later is told where it happens. */
export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Drydock', { log: true })
  const life = new EngineLife(log)
  face = createFace(context, log, life)
  const statusBar = new StatusBar(life)
  context.subscriptions.push(
    log,
    life,
    face.inventory,
    statusBar,
    face.inventory.onDidCount((count) => statusBar.setRunning(count)),
    registerViews(face),
    registerInspectDocuments(face),
    registerLogDocuments(face),
    registerDetails(face),
    registerCommands(face, { ...engineCommands, ...containerCommands, ...storeCommands, ...folderCommands }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => connect(face!)),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration('drydock.socket')) life.connect()
    }),
  )
  connect(face)
}

/** A window that closes takes its terminals with it, and so the containers that live with a terminal. */
export async function deactivate(): Promise<void> {
  const late = new Promise<string[]>((resolve) => setTimeout(resolve, farewell, []).unref())
  await Promise.race([face?.sessions.closeAll(), late])
}

const uriOf = (value: unknown): vscode.Uri | undefined => (value instanceof vscode.Uri ? value : undefined)

const folderCommands: Parameters<typeof registerCommands>[1] = {
  'drydock.runFolder': (face, { node }) => runFolder(face, uriOf(node)),
  'drydock.debugFolder': (face, { node }) => debugFolder(face, uriOf(node)),
  'drydock.image.run': runImage,
  'drydock.prune': prune,
}

function createFace(context: vscode.ExtensionContext, log: vscode.LogOutputChannel, life: EngineLife): Face {
  const setup = new EngineSetup(context.extensionUri, life, log)
  const inventory = new Inventory(life, log)
  return { context, log, life, setup, inventory, sessions: new OpenSessions(), client: () => life.client() }
}

function connect(face: Face): void {
  face.life.connect()
  void begin(face).catch((error) => report(face.log, error))
}

/** What is done once it is known whether there is an engine. */
async function begin(face: Face): Promise<void> {
  await face.setup.startIfRoot()
  if ((await face.life.settled()) === 'running') await removeOrphans(face)
}
