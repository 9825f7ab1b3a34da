/** An empty volume begins with what the image has at its place: owners, modes, times, links, attributes; wire fact 159. */
import { closeSync, readdirSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import type { Image } from '../images/image.ts'
import { TarReader } from '../images/tar-reader.ts'
import { archiveTree } from '../images/tar-tree.ts'
import { TreeWriter } from '../images/tree-writer.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { changeMode, changeOwner, openDirectory, openFlags, setTimes, statusOf } from '../kernel/paths.ffi.ts'
import { inSlices } from '../snapshots/tree.ts'
import { openView } from '../snapshots/view.ts'
import type { MountPoint } from './container.ts'
import type { Engine } from './engine.ts'

/** Leaves a volume that has something in it as it is. invalid where the image has a file at the place. */
export async function copyUp(engine: Engine, image: Image, point: MountPoint): Promise<void> {
  if (image.chainId === undefined || readdirSync(point.Source).length > 0) return
  using stack = new DisposableStack()
  const view = stack.use(openView(engine.snapshotter.view(image.chainId)))
  const source = openSource(view, point.Destination)
  if (source === undefined) return
  stack.defer(() => closeSync(source))
  const target = stack.adopt(openDirectory(point.Source), closeSync)
  const writer = stack.use(new TreeWriter(target, { layer: false, maxEntries: Number.MAX_SAFE_INTEGER }))
  const reader = new TarReader(writer)
  await inSlices(copy(source, reader))
  reader.finish()
  writer.finish()
  const { uid, gid, mode, modified } = statusOf(source)
  changeOwner(target, uid, gid)
  changeMode(target, mode & 0o7777)
  setTimes(target, modified)
}

function* copy(source: number, reader: TarReader): Generator<void> {
  for (const piece of archiveTree(source)) {
    reader.write(piece)
    yield
  }
}

function openSource(view: { open(path: string, flags: number): number }, path: string): number | undefined {
  try {
    return view.open(path, openFlags.O_RDONLY | openFlags.O_DIRECTORY)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    if (isErrno(error, 'ENOTDIR'))
      throw new EngineError('invalid', `cannot mount volume over existing file, file exists ${path}`, { cause: error })
    throw error
  }
}
