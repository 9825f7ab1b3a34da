import * as vscode from 'vscode'
import type { ContainerSummary } from '../../engine/api/contract/docker.ts'
import type { ImageSummary } from '../../engine/api/contract/docker-store.ts'
import type { Face } from '../face.ts'
import { nameOf } from '../views/container-nodes.ts'
import type { Subject, TreeNode } from '../views/node.ts'

/** What VS Code hands to a command: from a tree the item and the whole selection, from elsewhere an id or nothing. */
export type Clicked = { node: unknown; selection: unknown }

const isNode = (value: unknown): value is TreeNode => typeof value === 'object' && value !== null && 'context' in value

/** The things of one kind that were clicked on. */
export function subjectsOf<Kind extends Subject['kind']>(
  clicked: Clicked,
  kind: Kind,
): Extract<Subject, { kind: Kind }>[] {
  const list = Array.isArray(clicked.selection) && clicked.selection.length > 0 ? clicked.selection : [clicked.node]
  return list
    .filter(isNode)
    .map((node) => node.subject)
    .filter((subject): subject is Extract<Subject, { kind: Kind }> => subject?.kind === kind)
}

/** The containers clicked on, or those picked from a list. Empty: the user left. */
export async function chooseContainers(
  face: Face,
  clicked: Clicked,
  title: string,
  fits: (container: ContainerSummary) => boolean = () => true,
): Promise<ContainerSummary[]> {
  const subjects = subjectsOf(clicked, 'container')
  if (subjects.length > 0) return subjects.map((subject) => subject.container).filter(fits)
  await face.client()
  const all = await face.inventory.containers()
  if (typeof clicked.node === 'string') return all.filter((container) => container.Id === clicked.node)
  const items = all.filter(fits).map((container) => ({
    label: nameOf(container),
    description: `${container.Image} · ${container.Status || container.State}`,
    container,
  }))
  if (items.length === 0) throw new Error('There is no container that this could be done with.')
  const picked = await vscode.window.showQuickPick(items, { title, placeHolder: 'Container', matchOnDescription: true })
  return picked ? [picked.container] : []
}

/** For what is shown of one container alone. */
export const chooseContainer = async (
  face: Face,
  clicked: Clicked,
  title: string,
  fits?: (container: ContainerSummary) => boolean,
): Promise<ContainerSummary | undefined> =>
  (await chooseContainers(face, { ...clicked, selection: [] }, title, fits))[0]

export type ChosenImage = { image: ImageSummary; tag: string }

export async function chooseImages(face: Face, clicked: Clicked, title: string): Promise<ChosenImage[]> {
  const subjects = subjectsOf(clicked, 'image')
  if (subjects.length > 0) return subjects
  const images = await (await face.client()).store.images()
  const items = images.flatMap((image) => image.RepoTags ?? []).map((tag) => ({ label: tag }))
  if (items.length === 0) throw new Error('There is no image on this machine.')
  const picked = await vscode.window.showQuickPick(items, { title, placeHolder: 'Image' })
  const image = images.find((candidate) => candidate.RepoTags?.includes(picked?.label ?? ''))
  return picked && image ? [{ image, tag: picked.label }] : []
}

/** A modal, since what goes can't be had back. */
export async function confirm(question: string, detail: string, action: string): Promise<boolean> {
  return (await vscode.window.showWarningMessage(question, { modal: true, detail }, action)) === action
}

/** Does it for all of them at once, and then fails with the first failure. */
export async function forAll<T>(things: readonly T[], act: (thing: T) => Promise<unknown>): Promise<void> {
  const results = await Promise.allSettled(things.map(act))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}
