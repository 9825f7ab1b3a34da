import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import * as vscode from 'vscode'
import { linesOf } from '../engine-client/lines.ts'
import type { EngineLife } from './engine-life.ts'
import { elevators, nodeProgram } from './host.ts'
import { asShellText, type SetupFacts, type SetupVerb, setupWords, terminalScript } from './setup-command.ts'

const titles: Record<SetupVerb, string> = {
  install: 'Set Up Drydock Engine',
  start: 'Start Drydock Engine',
  stop: 'Stop Drydock Engine',
  status: 'Drydock Engine Status',
  uninstall: 'Uninstall Drydock Engine',
}

/** Runs the engine's own set-up: quietly where this is root, else in a terminal where the user can see what asks for a password. */
export class EngineSetup {
  readonly #extension: vscode.Uri
  readonly #life: EngineLife
  readonly #log: vscode.LogOutputChannel

  constructor(extension: vscode.Uri, life: EngineLife, log: vscode.LogOutputChannel) {
    this.#extension = extension
    this.#life = life
    this.#log = log
  }

  /** Rejects with one sentence where it could not be done. */
  async run(verb: SetupVerb): Promise<void> {
    const facts = this.#facts()
    const words = setupWords(verb, facts)
    if (words === null) throw new Error(noElevator(verb, facts))
    this.#log.info(`Running: ${asShellText(words)}`)
    if (facts.uid === 0) await runQuietly(words, this.#log)
    else await runInTerminal(titles[verb], words)
  }

  /** Where the extension host is root there is nobody to ask: the engine is put in its place and started. */
  async startIfRoot(): Promise<void> {
    const state = await this.#life.settled()
    if (process.getuid?.() !== 0 || (state !== 'not-set-up' && state !== 'stopped')) return
    await this.#life.starting(() => this.run('install'))
  }

  #facts(): SetupFacts {
    const engine = vscode.Uri.joinPath(this.#extension, 'dist', 'engine', 'main.js').fsPath
    if (!existsSync(engine)) throw new Error(`The extension is not complete: ${engine} is missing.`)
    const node = nodeProgram(dirname(engine))
    if (!node) throw new Error('The engine needs a Node program of version 22.15 or later, and none is on the PATH.')
    const { socketPath } = this.#life
    return { node, engine, socketPath, uid: process.getuid?.() ?? -1, elevators: elevators() }
  }
}

const noElevator = (verb: SetupVerb, facts: SetupFacts): string =>
  `Neither sudo nor pkexec is on the PATH: run this as root: ${asShellText(setupWords(verb, { ...facts, elevators: ['sudo'] })?.slice(1) ?? [])}`

async function runInTerminal(name: string, words: string[]): Promise<void> {
  const shellArgs = ['-c', terminalScript, 'drydock', ...words]
  const terminal = vscode.window.createTerminal({ name, shellPath: '/bin/sh', shellArgs, isTransient: true })
  terminal.show()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const closing = vscode.window.onDidCloseTerminal((closed) => {
    if (closed !== terminal) return
    closing.dispose()
    const code = closed.exitStatus?.code
    if (code === 0) resolve()
    else reject(new Error(`“${name}” did not come to its end${code === undefined ? '' : ` (exit code ${code})`}.`))
  })
  await promise
}

async function runQuietly(words: string[], log: vscode.LogOutputChannel): Promise<void> {
  const [program = '', ...rest] = words
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
  let last = ''
  const read = async (stream: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const line of linesOf(stream)) {
      log.info(line)
      last = line.trim() || last
    }
  }
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.once('error', reject)
  child.once('close', resolve)
  await Promise.all([read(child.stdout), read(child.stderr)])
  const code = await promise
  if (code !== 0) throw new Error(last || `The set-up ended with exit code ${code}.`)
}
