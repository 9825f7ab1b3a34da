import * as vscode from 'vscode'
import type { ContainerSummary } from '../../engine/api/contract/docker.ts'
import { openDetails } from '../details/details-panel.ts'
import { inspectUri } from '../documents/inspect-documents.ts'
import { logUri, openLog } from '../documents/log-documents.ts'
import type { ContainerVerb } from '../engine-client/container-calls.ts'
import { counted } from '../engine-client/format.ts'
import type { Face } from '../face.ts'
import { openTerminal } from '../terminal/container-terminal.ts'
import { findShell, shellProcess } from '../terminal/processes.ts'
import { isRunning, nameOf, publishedPorts } from '../views/container-nodes.ts'
import { type Clicked, chooseContainer, chooseContainers, confirm, forAll } from './choose.ts'
import type { Command } from './command.ts'

const inState =
  (...states: string[]) =>
  (container: ContainerSummary): boolean =>
    states.includes(container.State)

const verb =
  (name: ContainerVerb, title: string, fits: (container: ContainerSummary) => boolean): Command =>
  async (face, clicked) => {
    const containers = await chooseContainers(face, clicked, title, fits)
    const client = await face.client()
    const options = { location: { viewId: 'drydock.containers' } }
    const work = (): Promise<void> => forAll(containers, (container) => client.containers.act(container.Id, name))
    await vscode.window.withProgress(options, work)
  }

export const containerCommands: Record<string, Command> = {
  'drydock.container.start': verb('start', 'Start Container', inState('created', 'exited', 'dead')),
  'drydock.container.stop': verb('stop', 'Stop Container', isRunning),
  'drydock.container.restart': verb('restart', 'Restart Container', () => true),
  'drydock.container.pause': verb('pause', 'Pause Container', inState('running')),
  'drydock.container.unpause': verb('unpause', 'Unpause Container', inState('paused')),
  'drydock.container.kill': verb('kill', 'Kill Container', isRunning),
  'drydock.container.remove': remove,
  'drydock.container.shell': shell,
  'drydock.container.logs': async (face, clicked) => {
    const container = await chooseContainer(face, clicked, 'Show Log of Container')
    if (container) await openLog(logUri(container.Id, nameOf(container)))
  },
  'drydock.container.inspect': async (face, clicked) => {
    const container = await chooseContainer(face, clicked, 'Inspect Container')
    if (container) await vscode.window.showTextDocument(inspectUri('container', container.Id, nameOf(container)))
  },
  'drydock.container.browse': browse,
  'drydock.container.details': async (face, clicked) => {
    const container = await chooseContainer(face, clicked, 'Show Details of Container')
    if (container) openDetails(face, container.Id, nameOf(container))
  },
}

async function remove(face: Face, clicked: Clicked): Promise<void> {
  const containers = await chooseContainers(face, clicked, 'Remove Container')
  if (containers.length === 0) return
  const running = containers.filter(isRunning)
  const one = containers.length === 1 ? nameOf(containers[0]!) : undefined
  const question = `Remove ${one ?? counted(containers.length, 'container')}?`
  if (!(await confirm(question, removalDetail(containers.map(nameOf), running.map(nameOf)), 'Remove'))) return
  const client = await face.client()
  await forAll(containers, (container) => client.containers.remove(container.Id, running.includes(container)))
}

function removalDetail(names: readonly string[], running: readonly string[]): string {
  const several = names.length > 1
  const files = `What was written in ${several ? 'them' : 'it'}, outside of volumes and folders of this machine, is lost.`
  if (running.length === 0) return several ? `${names.join(', ')}\n${files}` : files
  return `${running.join(', ')} ${running.length > 1 ? 'are' : 'is'} running and will be killed. ${files}`
}

async function shell(face: Face, clicked: Clicked): Promise<void> {
  const container = await chooseContainer(face, clicked, 'Open Shell in Container', inState('running'))
  if (!container) return
  const client = await face.client()
  const found = await findShell(client, container.Id)
  if (!found) throw new Error(`There is no shell in ${nameOf(container)}: neither bash nor sh nor ash.`)
  const name = `${nameOf(container)} (${found.split('/').at(-1)})`
  openTerminal(face, shellProcess(client, container.Id, found), { name, icon: 'terminal', waitAfterFailure: false })
}

async function browse(face: Face, clicked: Clicked): Promise<void> {
  const container = await chooseContainer(
    face,
    clicked,
    'Open Container in Browser',
    (one) => publishedPorts(one).length > 0,
  )
  if (!container) return
  const ports = publishedPorts(container)
  const items = ports.map((port) => ({
    label: `localhost:${port.PublicPort}`,
    description: `port ${port.PrivatePort} inside`,
    port,
  }))
  const picked = items.length > 1 ? await vscode.window.showQuickPick(items, { title: 'Open in Browser' }) : items[0]
  if (!picked) return
  const scheme = picked.port.PrivatePort === 443 ? 'https' : 'http'
  const local = vscode.Uri.parse(`${scheme}://localhost:${picked.port.PublicPort}/`)
  await vscode.env.openExternal(await vscode.env.asExternalUri(local))
}
