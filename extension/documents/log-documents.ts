import * as vscode from 'vscode'
import { isAbort, messageOf } from '../engine-client/errors.ts'
import type { Face } from '../face.ts'
import { LogBuffer } from './log-buffer.ts'

export const logScheme = 'drydock-log'

/** Lines of the past that a log begins with. */
const tail = 5000
/** The editor is told of new text this often at most. Milliseconds. */
const beat = 200

export const logUri = (id: string, name: string): vscode.Uri =>
  vscode.Uri.from({ scheme: logScheme, path: `/${name}.log`, query: id })

export async function openLog(uri: vscode.Uri): Promise<void> {
  const document = await vscode.workspace.openTextDocument(uri)
  const editor = await vscode.window.showTextDocument(document, { preview: false })
  revealEnd(editor)
}

/** One log that is followed for as long as its document is open. */
class FollowedLog implements vscode.Disposable {
  readonly #buffer = new LogBuffer()
  readonly #abort = new AbortController()
  readonly #tell: () => void
  #timer: NodeJS.Timeout | undefined
  #end = ''

  constructor(tell: () => void) {
    this.#tell = tell
  }

  text(): string {
    return this.#buffer.text() + this.#end
  }

  async follow(face: Face, id: string): Promise<void> {
    try {
      const client = await face.client()
      for await (const chunk of await client.containers.logs(id, tail, this.#abort.signal)) {
        this.#buffer.push(chunk)
        this.#changed()
      }
      this.#end = '\n[the log has come to its end]\n'
    } catch (error) {
      if (!isAbort(error)) this.#end = `\n[${messageOf(error)}]\n`
    }
    this.#changed()
  }

  dispose(): void {
    this.#abort.abort()
    clearTimeout(this.#timer)
  }

  #changed(): void {
    if (this.#abort.signal.aborted) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#tell()
    }, beat)
  }
}

/** Read-only documents `drydock-log:/NAME.log?ID` that grow with the log; the editor's own search works in them. */
export function registerLogDocuments(face: Face): vscode.Disposable {
  const changed = new vscode.EventEmitter<vscode.Uri>()
  const followed = new Map<string, FollowedLog>()
  const provider = vscode.workspace.registerTextDocumentContentProvider(logScheme, {
    onDidChange: changed.event,
    provideTextDocumentContent: (uri) => {
      const key = uri.toString()
      const known = followed.get(key)
      if (known) return known.text()
      const log = new FollowedLog(() => changed.fire(uri))
      followed.set(key, log)
      void log.follow(face, uri.query)
      return ''
    },
  })
  const closing = vscode.workspace.onDidCloseTextDocument((document) => {
    followed.get(document.uri.toString())?.dispose()
    followed.delete(document.uri.toString())
  })
  const all = new vscode.Disposable(() => {
    for (const log of followed.values()) log.dispose()
  })
  return vscode.Disposable.from(provider, closing, changed, keepAtEnd(), all)
}

/** An editor that shows a log's last line goes on showing it; one that was scrolled up stays where it is. */
function keepAtEnd(): vscode.Disposable {
  return vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
    const first = contentChanges[0]
    if (document.uri.scheme !== logScheme || !first) return
    for (const editor of vscode.window.visibleTextEditors) {
      if (editor.document !== document) continue
      const seen = editor.visibleRanges.at(-1)?.end.line ?? 0
      if (seen >= first.range.start.line - 2) revealEnd(editor)
    }
  })
}

function revealEnd(editor: vscode.TextEditor): void {
  const end = editor.document.lineAt(editor.document.lineCount - 1).range.end
  editor.revealRange(new vscode.Range(end, end), vscode.TextEditorRevealType.Default)
}
