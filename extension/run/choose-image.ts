import * as vscode from 'vscode'
import type { EngineClient } from '../engine-client/client.ts'
import { messageOf } from '../engine-client/errors.ts'
import { referenceProblem } from '../engine-client/reference.ts'
import type { Face } from '../face.ts'
import { type FolderFacts, factFiles, rememberChoice, suggestImages } from './suggest-image.ts'

const recentKey = 'drydock.recentImages'

type ImageItem = vscode.QuickPickItem & { image?: string }

/** Asks which image; `folder` makes for suggestions. Undefined: the user left. */
export async function chooseImage(
  face: Face,
  folder: vscode.Uri | undefined,
  title: string,
): Promise<string | undefined> {
  const recent = face.context.globalState.get<string[]>(recentKey, [])
  const client = await face.client()
  const [facts, local] = await Promise.all([folder ? readFacts(folder) : emptyFacts, localTags(face, client)])
  const image = await pickWithFreeEntry(imageItems(recent, facts, local, folder !== undefined), title)
  if (image) await face.context.globalState.update(recentKey, rememberChoice(recent, image))
  return image
}

function imageItems(recent: string[], facts: FolderFacts, local: string[], inFolder: boolean): ImageItem[] {
  const used = new Set<string>()
  const here = new Set(['host', ...local.map(untagged)])
  const section = (label: string, entries: { image: string; why?: string }[]): ImageItem[] => {
    const fresh = entries.filter(({ image }) => !used.has(untagged(image)) && used.add(untagged(image)))
    const items = fresh.map(({ image, why }) => ({
      label: image,
      image,
      description: [why, here.has(untagged(image)) ? '' : 'will be pulled'].filter(Boolean).join(' · '),
    }))
    return items.length > 0 ? [{ label, kind: vscode.QuickPickItemKind.Separator }, ...items] : []
  }
  return [
    ...section(
      'used before',
      recent.map((image) => ({ image })),
    ),
    ...section(inFolder ? 'fits this folder' : 'always there', suggestImages(facts)),
    ...section(
      'on this machine',
      local.map((image) => ({ image })),
    ),
  ]
}

/** `node` and `node:latest` are the same image. */
const untagged = (image: string): string => image.replace(/:latest$/, '')

function pickWithFreeEntry(items: ImageItem[], title: string): Promise<string | undefined> {
  const pick = vscode.window.createQuickPick<ImageItem>()
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  pick.title = title
  pick.placeholder = 'Choose an image, or type the name of another, for example node:22'
  pick.matchOnDescription = true
  pick.items = items
  pick.onDidChangeValue((value) => {
    const typed = value.trim()
    const free = typed !== '' && !items.some((item) => item.image === typed) && referenceProblem(typed) === undefined
    pick.items = free
      ? [...items, { label: `$(add) ${typed}`, description: 'this name', image: typed, alwaysShow: true }]
      : items
  })
  pick.onDidAccept(() => {
    const image = pick.activeItems[0]?.image
    if (!image) return
    resolve(image)
    pick.hide()
  })
  pick.onDidHide(() => {
    resolve(undefined)
    pick.dispose()
  })
  pick.show()
  return promise
}

/** Suggestions do without what can't be listed. */
async function localTags(face: Face, client: EngineClient): Promise<string[]> {
  try {
    const images = await client.store.images()
    return images
      .flatMap((image) => image.RepoTags ?? [])
      .filter((tag) => !tag.startsWith('<none>'))
      .toSorted()
  } catch (error) {
    face.log.warn(messageOf(error))
    return []
  }
}

const emptyFacts: FolderFacts = { names: new Set() }

async function readFacts(folder: vscode.Uri): Promise<FolderFacts> {
  try {
    const names = new Set((await vscode.workspace.fs.readDirectory(folder)).map(([name]) => name))
    const facts: FolderFacts = { names }
    for (const [fact, candidates] of Object.entries(factFiles)) {
      const name = candidates.find((candidate) => names.has(candidate))
      if (name) facts[fact as keyof typeof factFiles] = await readText(vscode.Uri.joinPath(folder, name))
    }
    return facts
  } catch {
    return emptyFacts
  }
}

const readText = async (file: vscode.Uri): Promise<string> =>
  Buffer.from(await vscode.workspace.fs.readFile(file)).toString('utf8')
