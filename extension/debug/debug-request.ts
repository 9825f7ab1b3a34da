import { posix } from 'node:path'
import { folderInside } from '../run/folder-request.ts'

/** The inspector's port inside the container; outside it is another one that is free. */
export const inspectorPort = 9229

/** `node --inspect-brk`: frozen before the first line, and only to be reached from inside the container. */
export const debugCommand = (entry: string, args: readonly string[] = []): string[] => [
  'node',
  `--inspect-brk=127.0.0.1:${inspectorPort}`,
  entry,
  ...args,
]

/** What to debug, relative to the folder: the open file if it is a program there, else what package.json names. */
export function entryOf(
  folder: string,
  openFile: string | undefined,
  packageJson: string | undefined,
): string | undefined {
  const relative = openFile === undefined ? '..' : posix.relative(folder, openFile)
  if (!relative.startsWith('..') && /\.(?:[cm]?js|[cm]?ts)$/.test(relative)) return relative
  try {
    const { main, scripts } = JSON.parse(packageJson ?? '{}') as { main?: unknown; scripts?: { start?: unknown } }
    const started = /^node\s+([^\s-]\S*)$/.exec(String(scripts?.start ?? ''))?.[1]
    return started ?? (typeof main === 'string' && main !== '' ? main : undefined)
  } catch {
    return undefined
  }
}

/**
 * For VS Code's JavaScript debugger. `inspector` is as seen from here: asked itself, the inspector
 * would name the port inside. `containerId` is ours: it tells which session belongs to
 * which container.
 */
export const attachConfiguration = (
  folder: string,
  name: string,
  inspector: { port: number; path: string },
  containerId: string,
): { type: string; request: string; name: string; [key: string]: unknown } => ({
  type: 'node',
  request: 'attach',
  name,
  websocketAddress: `ws://127.0.0.1:${inspector.port}${inspector.path}`,
  localRoot: folder,
  remoteRoot: folderInside(folder),
  continueOnAttach: true,
  restart: false,
  skipFiles: ['<node_internals>/**'],
  drydockContainer: containerId,
})
