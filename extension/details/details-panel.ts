import { availableParallelism } from 'node:os'
import * as vscode from 'vscode'
import type { HostConfig } from '../../engine/api/contract/docker.ts'
import type { TraceSpan } from '../../engine/api/contract/drydock.ts'
import {
  type Action,
  type LimitTexts,
  type PageState,
  parseFromPage,
  type Tab,
  type ToPage,
} from '../../webview/messages.ts'
import type { ContainerCalls } from '../engine-client/container-calls.ts'
import { ApiError, isAbort, messageOf } from '../engine-client/errors.ts'
import type { Face } from '../face.ts'
import { namespaceRows, overviewOf, spanRows } from './describe.ts'
import { LimitsFeed } from './limits-feed.ts'
import { limitsRequest } from './limits-request.ts'
import { pageHtml } from './page.ts'

const viewType = 'drydock.details'
const openPanels = new Map<string, DetailsPanel>()

/** Shows the page of a container, the one that is open already if there is one. */
export function openDetails(face: Face, id: string, name: string): void {
  const open = openPanels.get(id)
  if (open) {
    open.reveal()
    return
  }
  const panel = vscode.window.createWebviewPanel(viewType, name, vscode.ViewColumn.Active, {})
  openPanels.set(id, new DetailsPanel(face, panel, { id, name, tab: 'overview' }))
}

/** Brings pages back after the window was reloaded. */
export function registerDetails(face: Face): vscode.Disposable {
  const deserializeWebviewPanel = async (
    panel: vscode.WebviewPanel,
    state: Partial<PageState> | undefined,
  ): Promise<void> => {
    if (typeof state?.id !== 'string') return panel.dispose()
    const { id, name = id, tab = 'overview' } = state
    openPanels.set(id, new DetailsPanel(face, panel, { id, name, tab }))
  }
  return vscode.window.registerWebviewPanelSerializer(viewType, { deserializeWebviewPanel })
}

/** One container's page. While it is hidden nothing is asked of the engine. */
class DetailsPanel {
  readonly #face: Face
  readonly #panel: vscode.WebviewPanel
  readonly #id: string
  readonly #feed: LimitsFeed
  readonly #listening: vscode.Disposable
  #tab: Tab
  #running = false
  #config: HostConfig = {}

  constructor(face: Face, panel: vscode.WebviewPanel, state: PageState) {
    this.#face = face
    this.#panel = panel
    this.#id = state.id
    this.#tab = state.tab
    this.#feed = new LimitsFeed(face, state.id, (point) => this.#send({ type: 'point', point }))
    this.#listening = vscode.Disposable.from(
      panel.webview.onDidReceiveMessage((message: unknown) => this.#receive(message)),
      panel.onDidChangeViewState(() => this.#follow()),
      face.inventory.onDidChange((topics) => {
        if (topics.has('containers') && panel.visible) void this.#refresh()
      }),
      panel.onDidDispose(() => this.#dispose()),
    )
    const extension = face.context.extensionUri
    panel.iconPath = new vscode.ThemeIcon('package')
    panel.webview.options = {
      enableScripts: true,
      localResourceRoots: [vscode.Uri.joinPath(extension, 'dist', 'webview')],
    }
    panel.webview.html = pageHtml(panel.webview, extension, state)
  }

  reveal(): void {
    this.#panel.reveal()
  }

  #receive(value: unknown): void {
    const message = parseFromPage(value)
    if (!message) this.#face.log.warn('The details page sent a message that is none of its own.')
    else if (message.type === 'action') this.#act(message.action)
    else if (message.type === 'set-limits') void this.#setLimits(message.limits)
    else this.#show(message.tab, message.type === 'ready')
  }

  #show(tab: Tab, fresh: boolean): void {
    this.#tab = tab
    if (fresh) this.#send({ type: 'points', points: this.#feed.history })
    void this.#refresh()
  }

  #act(action: Action): void {
    void vscode.commands.executeCommand(`drydock.container.${action}`, this.#id)
  }

  /** Sends what the shown tab needs. */
  async #refresh(): Promise<void> {
    try {
      const { containers } = await this.#face.client()
      const inspect = await containers.inspect(this.#id)
      const overview = overviewOf(inspect)
      this.#config = inspect.HostConfig
      this.#panel.title = overview.name
      this.#send({ type: 'overview', overview })
      this.#running = overview.running
      this.#follow()
      if (this.#tab === 'namespaces')
        this.#send({ type: 'namespaces', rows: namespaceRows(await containers.namespaces(this.#id), this.#id) })
      if (this.#tab === 'trace') this.#send({ type: 'trace', ...spanRows(await this.#spans(containers)) })
    } catch (error) {
      this.#failed(error)
    }
  }

  /** None where the container was not started since the engine was. */
  async #spans(containers: ContainerCalls): Promise<TraceSpan[]> {
    try {
      return (await containers.trace(this.#id)).Spans
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return []
      throw error
    }
  }

  #failed(error: unknown): void {
    if (isAbort(error)) return
    const gone = error instanceof ApiError && error.status === 404 && error.message.startsWith('No such container')
    this.#send(gone ? { type: 'gone' } : { type: 'failed', tab: this.#tab, sentence: messageOf(error) })
  }

  /** Samples are only taken while somebody can see them. */
  #follow(): void {
    if (this.#panel.visible && this.#running) this.#feed.start()
    else this.#feed.stop()
  }

  async #setLimits(limits: LimitTexts): Promise<void> {
    const request = limitsRequest(this.#config, limits, availableParallelism())
    if ('field' in request) return this.#send({ type: 'limits-refused', ...request })
    try {
      const { containers } = await this.#face.client()
      const { Warnings } = await containers.update(this.#id, request.body)
      this.#send({ type: 'limits-saved', warnings: Warnings ?? [] })
      await this.#refresh()
    } catch (error) {
      this.#send({ type: 'limits-refused', field: null, sentence: messageOf(error) })
    }
  }

  #send(message: ToPage): void {
    void this.#panel.webview.postMessage(message)
  }

  #dispose(): void {
    openPanels.delete(this.#id)
    this.#feed.stop()
    this.#listening.dispose()
  }
}
