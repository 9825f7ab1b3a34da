import * as vscode from 'vscode'
import { inspectUri } from '../documents/inspect-documents.ts'
import { counted } from '../engine-client/format.ts'
import { referenceProblem } from '../engine-client/reference.ts'
import type { Face } from '../face.ts'
import { pullImage } from '../run/pull-image.ts'
import { type Clicked, chooseImages, confirm, forAll, subjectsOf } from './choose.ts'
import type { Command } from './command.ts'

/** Commands on images, volumes and networks. */
export const storeCommands: Record<string, Command> = {
  'drydock.image.pull': pull,
  'drydock.image.remove': removeImages,
  'drydock.image.inspect': async (face, clicked) => {
    const chosen = (await chooseImages(face, clicked, 'Inspect Image'))[0]
    if (chosen) await vscode.window.showTextDocument(inspectUri('image', chosen.tag, chosen.tag))
  },
  'drydock.volume.inspect': async (_face, clicked) => {
    const volume = subjectsOf(clicked, 'volume')[0]?.volume
    if (volume) await vscode.window.showTextDocument(inspectUri('volume', volume.Name, volume.Name))
  },
  'drydock.volume.remove': removeVolumes,
  'drydock.network.inspect': async (_face, clicked) => {
    const network = subjectsOf(clicked, 'network')[0]?.network
    if (network) await vscode.window.showTextDocument(inspectUri('network', network.Id, network.Name))
  },
  'drydock.network.remove': async (face, clicked) => {
    const networks = subjectsOf(clicked, 'network').map((subject) => subject.network)
    const client = await face.client()
    await forAll(networks, (network) => client.store.removeNetwork(network.Id))
  },
}

async function pull(face: Face, clicked: Clicked): Promise<void> {
  const client = await face.client()
  const clickedTag = subjectsOf(clicked, 'image')[0]?.tag
  const reference =
    clickedTag ??
    (await vscode.window.showInputBox({
      title: 'Pull Image',
      prompt: 'The name of an image, with a tag or a digest',
      placeHolder: 'node:22',
      validateInput: (text) => referenceProblem(text.trim()),
    }))
  if (reference) await pullImage(client, reference.trim())
}

async function removeImages(face: Face, clicked: Clicked): Promise<void> {
  const chosen = await chooseImages(face, clicked, 'Remove Image')
  if (chosen.length === 0) return
  const names = chosen.map(({ tag }) => tag).join(', ')
  if (!(await confirm(`Remove ${counted(chosen.length, 'image')}?`, names, 'Remove'))) return
  const client = await face.client()
  await forAll(chosen, ({ tag }) => client.store.removeImage(tag, false))
}

async function removeVolumes(face: Face, clicked: Clicked): Promise<void> {
  const names = subjectsOf(clicked, 'volume').map((subject) => subject.volume.Name)
  if (names.length === 0) return
  const question = `Remove ${counted(names.length, 'volume')}?`
  if (!(await confirm(question, `What is stored in ${names.join(', ')} is lost.`, 'Remove'))) return
  const client = await face.client()
  await forAll(names, (name) => client.store.removeVolume(name))
}
