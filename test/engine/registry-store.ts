/** For tests: an image store of its own in a temporary directory, on the real snapshotter. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Database } from '../../engine/base/database.ts'
import { ContentStore } from '../../engine/images/content-store.ts'
import type { ImageUse, ProgressMessage } from '../../engine/images/image.ts'
import { ImageStore, type ImageStoreOptions } from '../../engine/images/image-store.ts'
import { imageSchema } from '../../engine/images/image-table.ts'
import { OverlaySnapshotter, snapshotSchema } from '../../engine/snapshots/overlay-snapshotter.ts'

export const noRoot: string | false = process.getuid?.() === 0 ? false : 'needs root: layers keep their owners'

export type TestStore = AsyncDisposable & {
  root: string
  store: ImageStore
  content: ContentStore
  snapshotter: OverlaySnapshotter
  /** Progress lines of everything that was given `progress`. */
  lines: ProgressMessage[]
  progress: (message: ProgressMessage) => void
  events: [string, string][]
  /** Containers by image id. */
  uses: Map<string, ImageUse[]>
  /** Names in `ingest/`: what is left of downloads. */
  partial(): Promise<string[]>
}

/** Patient enough for a slow machine, quick where the server is at fault. */
const quick = { backOff: 10, stallTimeout: 500, attempts: 3 }

export async function openStore(options: Partial<ImageStoreOptions> & { root?: string } = {}): Promise<TestStore> {
  await using stack = new AsyncDisposableStack()
  const root =
    options.root ??
    stack.adopt(await mkdtemp(join(tmpdir(), 'images-')), (path) => rm(path, { recursive: true, force: true }))
  const database = stack.use(new Database(join(root, 'engine.db'), [imageSchema, snapshotSchema]))
  const snapshotter = new OverlaySnapshotter(database, root)
  stack.defer(() => snapshotter.settled())
  await snapshotter.recover()
  const content = new ContentStore(join(root, 'blobs'))
  const events: [string, string][] = []
  const lines: ProgressMessage[] = []
  const uses = new Map<string, ImageUse[]>()
  const store = stack.use(
    new ImageStore({
      database,
      content,
      snapshotter,
      usedBy: (id) => uses.get(id) ?? [],
      onEvent: (action, id) => events.push([action, id]),
      ...options,
      registry: { ...quick, ...options.registry },
    }),
  )
  await store.recover()
  const owned = stack.move()
  return {
    root,
    store,
    content,
    snapshotter,
    lines,
    progress: (message) => lines.push(message),
    events,
    uses,
    partial: () => readdir(join(root, 'ingest')),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
