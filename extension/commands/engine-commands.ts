import * as vscode from 'vscode'
import type { EngineState } from '../engine-life/state.ts'
import type { Face } from '../face.ts'
import { topics } from '../views/topics.ts'
import { confirm } from './choose.ts'
import type { Command } from './command.ts'

export const engineCommands: Record<string, Command> = {
  'drydock.engine.setup': (face) => face.life.starting(() => face.setup.run('install')),
  'drydock.engine.start': (face) => face.life.starting(() => face.setup.run('start')),
  'drydock.engine.stop': async (face) => {
    await face.setup.run('stop')
    face.life.connect()
  },
  'drydock.engine.restart': (face) =>
    face.life.starting(async () => {
      await face.setup.run('stop')
      await face.setup.run('start')
    }),
  'drydock.engine.uninstall': uninstall,
  'drydock.engine.showLog': async (face) => face.log.show(),
  'drydock.engine.menu': menu,
  'drydock.refresh': async (face) => {
    face.life.connect()
    face.inventory.refresh(topics)
  },
}

async function uninstall(face: Face): Promise<void> {
  const detail =
    'Its containers are stopped, and its programs are removed. Images, volumes and containers stay on the disk.'
  if (!(await confirm('Uninstall the Drydock engine?', detail, 'Uninstall'))) return
  await face.setup.run('uninstall')
  face.life.connect()
}

const actions: readonly { label: string; command: string; states: readonly EngineState[] }[] = [
  { label: '$(package) Set Up Engine', command: 'drydock.engine.setup', states: ['not-set-up', 'denied'] },
  { label: '$(play) Start Engine', command: 'drydock.engine.start', states: ['stopped'] },
  { label: '$(debug-stop) Stop Engine', command: 'drydock.engine.stop', states: ['running', 'starting'] },
  { label: '$(debug-restart) Restart Engine', command: 'drydock.engine.restart', states: ['running'] },
  { label: '$(list-unordered) Show Containers', command: 'drydock.containers.focus', states: ['running'] },
  { label: '$(shield) Manage Workspace Trust', command: 'workbench.trust.manage', states: ['untrusted'] },
  { label: '$(remote) Open a Remote Window', command: 'workbench.action.remote.showMenu', states: ['unsupported'] },
  { label: '$(trash) Uninstall Engine', command: 'drydock.engine.uninstall', states: ['running', 'stopped', 'denied'] },
]

async function menu(face: Face): Promise<void> {
  const state = await face.life.settled()
  const items = actions.filter((action) => action.states.includes(state))
  const log = { label: '$(output) Show Log', command: 'drydock.engine.showLog' }
  const picked = await vscode.window.showQuickPick([...items, log], { title: 'Drydock Engine' })
  if (picked) await vscode.commands.executeCommand(picked.command)
}
