import type * as vscode from 'vscode'
import type { EngineClient } from './engine-client/client.ts'
import type { EngineLife } from './engine-life/engine-life.ts'
import type { EngineSetup } from './engine-life/setup.ts'
import type { OpenSessions } from './terminal/open-sessions.ts'
import type { Inventory } from './views/inventory.ts'

/** What every command may need; put together once, in main.ts. */
export type Face = {
  readonly context: vscode.ExtensionContext
  readonly log: vscode.LogOutputChannel
  readonly life: EngineLife
  readonly setup: EngineSetup
  readonly inventory: Inventory
  readonly sessions: OpenSessions
  /** The client of a running engine; rejects with a sentence and a remedy where there is none. */
  client(): Promise<EngineClient>
}
