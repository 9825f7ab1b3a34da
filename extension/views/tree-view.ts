import * as vscode from 'vscode'
import { messageOf } from '../engine-client/errors.ts'
import type { EngineLife } from '../engine-life/engine-life.ts'
import type { Inventory } from './inventory.ts'
import type { TreeNode } from './node.ts'
import type { Topic } from './topics.ts'

export type TreeSource = {
  view: string
  topic: Topic
  load(): Promise<readonly TreeNode[]>
}

/** Shows nodes as a view. A hidden view asks for nothing: it catches up when it is shown. */
export class NodeTree implements vscode.TreeDataProvider<TreeNode>, vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<undefined>()
  readonly #source: TreeSource
  readonly #life: EngineLife
  readonly #view: vscode.TreeView<TreeNode>
  readonly #listening: vscode.Disposable[]
  #stale = false

  readonly onDidChangeTreeData = this.#changed.event

  constructor(source: TreeSource, life: EngineLife, inventory: Inventory) {
    this.#source = source
    this.#life = life
    this.#view = vscode.window.createTreeView(source.view, { treeDataProvider: this, canSelectMany: true })
    this.#listening = [
      inventory.onDidChange((topics) => {
        if (topics.has(source.topic)) this.#update()
      }),
      this.#view.onDidChangeVisibility(({ visible }) => {
        if (visible && this.#stale) this.#update()
      }),
    ]
  }

  setBadge(count: number): void {
    this.#view.badge = count > 0 ? { value: count, tooltip: `${count} running` } : undefined
  }

  async getChildren(node?: TreeNode): Promise<TreeNode[]> {
    if (node) return [...(node.children ?? [])]
    if ((await this.#life.settled()) !== 'running') return []
    try {
      const nodes = await this.#source.load()
      this.#view.message = ''
      return [...nodes]
    } catch (error) {
      this.#view.message = messageOf(error)
      return []
    }
  }

  getTreeItem(node: TreeNode): vscode.TreeItem {
    const { None, Collapsed, Expanded } = vscode.TreeItemCollapsibleState
    const item = new vscode.TreeItem(node.label, !node.children ? None : node.expanded ? Expanded : Collapsed)
    item.id = node.id
    if (node.description) item.description = node.description
    if (node.tooltip) item.tooltip = node.tooltip
    item.iconPath = new vscode.ThemeIcon(node.icon, node.color ? new vscode.ThemeColor(node.color) : undefined)
    item.accessibilityInformation = { label: node.spoken }
    item.contextValue = node.context
    if (node.command)
      item.command = { command: node.command.id, title: node.command.title, arguments: node.command.arguments }
    return item
  }

  dispose(): void {
    for (const listening of this.#listening) listening.dispose()
    this.#view.dispose()
    this.#changed.dispose()
  }

  #update(): void {
    this.#stale = !this.#view.visible
    if (this.#view.visible) this.#changed.fire(undefined)
  }
}
