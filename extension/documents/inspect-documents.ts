import * as vscode from 'vscode'
import type { Face } from '../face.ts'

export const inspectScheme = 'drydock-inspect'

type Kind = 'container' | 'image' | 'volume' | 'network'

/** The path names the tab and makes it JSON; the query says what it is about. */
export const inspectUri = (kind: Kind, id: string, name: string): vscode.Uri =>
  vscode.Uri.from({
    scheme: inspectScheme,
    path: `/${name.replaceAll('/', '∕')}.json`,
    query: new URLSearchParams({ kind, id }).toString(),
  })

/** What the API tells of one thing, as a read-only JSON document. */
export function registerInspectDocuments(face: Face): vscode.Disposable {
  return vscode.workspace.registerTextDocumentContentProvider(inspectScheme, {
    provideTextDocumentContent: async (uri) => {
      const query = new URLSearchParams(uri.query)
      return `${JSON.stringify(await inspect(face, query.get('kind') as Kind, query.get('id') ?? ''), null, 2)}\n`
    },
  })
}

async function inspect(face: Face, kind: Kind, id: string): Promise<unknown> {
  const client = await face.client()
  if (kind === 'image') return await client.store.inspectImage(id)
  if (kind === 'volume') return await client.store.inspectVolume(id)
  if (kind === 'network') return await client.store.inspectNetwork(id)
  return await client.containers.inspect(id)
}
