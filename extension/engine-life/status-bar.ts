import * as vscode from 'vscode'
import { counted } from '../engine-client/format.ts'
import type { EngineLife } from './engine-life.ts'
import type { EngineState } from './state.ts'

const looks: Record<EngineState, { icon: string; words: string; warns?: boolean }> = {
  unsupported: { icon: 'circle-slash', words: 'needs Linux' },
  untrusted: { icon: 'shield', words: 'workspace not trusted' },
  'not-set-up': { icon: 'package', words: 'engine not set up' },
  starting: { icon: 'loading~spin', words: 'engine starting' },
  stopped: { icon: 'debug-stop', words: 'engine stopped' },
  denied: { icon: 'lock', words: 'no access to the engine', warns: true },
  running: { icon: 'package', words: 'engine running' },
}

/** One item for the engine: its state in words, and the engine's commands behind a click. */
export class StatusBar implements vscode.Disposable {
  readonly #item = vscode.window.createStatusBarItem('drydock.engine', vscode.StatusBarAlignment.Left, 0)
  readonly #life: EngineLife
  readonly #listening: vscode.Disposable
  #running = 0

  constructor(life: EngineLife) {
    this.#life = life
    this.#item.name = 'Drydock Engine'
    this.#item.command = 'drydock.engine.menu'
    this.#listening = life.onDidChangeState(() => this.#show())
    this.#show()
    this.#item.show()
  }

  setRunning(count: number): void {
    this.#running = count
    this.#show()
  }

  dispose(): void {
    this.#listening.dispose()
    this.#item.dispose()
  }

  #show(): void {
    const { icon, words, warns } = looks[this.#life.state]
    const runs = this.#life.state === 'running'
    this.#item.text = runs ? `$(${icon}) ${this.#running}` : `$(${icon}) Drydock: ${words}`
    const sentence = runs ? `Drydock: ${words}, ${counted(this.#running, 'container')} running` : `Drydock: ${words}`
    this.#item.tooltip = sentence
    this.#item.accessibilityInformation = { label: sentence, role: 'button' }
    this.#item.backgroundColor = warns ? new vscode.ThemeColor('statusBarItem.warningBackground') : undefined
  }
}
