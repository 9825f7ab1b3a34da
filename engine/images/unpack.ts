/** Layers onto the disk: image-spec layer.md, applied to one directory of the snapshotter. */
import { createHash } from 'node:crypto'
import { closeSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { openDirectory, syncFileSystemHere } from '../kernel/paths.ffi.ts'
import { decompressed } from './decompress.ts'
import type { Digest } from './digest.ts'
import { TarReader } from './tar-reader.ts'
import { TreeWriter } from './tree-writer.ts'

export type UnpackOptions = {
  /** Of the archive, decompressed. */
  maxBytes: number
  maxEntries: number
  signal?: AbortSignal
  /** Compressed bytes taken so far. */
  onProgress?: (bytes: number) => void
}

export type Unpacked = {
  /** sha256 of the archive, decompressed. */
  diffId: Digest
  /** Bytes of the archive, decompressed. */
  bytes: number
  /** Whether the archive says who owns its root, and its mode. */
  ownRoot: boolean
}

/**
 * Fills a staged layer's directory from its archive (tar, gzip or zstd by its first bytes). invalid: the archive is
 * damaged, larger than allowed, or has an entry that leaves the layer; the staged layer is then good only for `discard`.
 */
export async function unpackLayer(
  source: AsyncIterable<Buffer>,
  directory: string,
  options: UnpackOptions,
): Promise<Unpacked> {
  using stack = new DisposableStack()
  const root = stack.adopt(openDirectory(directory), closeSync)
  const writer = stack.use(new TreeWriter(root, { layer: true, maxEntries: options.maxEntries }))
  const reader = new TarReader(writer)
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of decompressed(source, { signal: options.signal, onRead: options.onProgress })) {
    bytes += chunk.length
    if (bytes > options.maxBytes)
      throw new EngineError('invalid', `the layer unpacks to more than ${options.maxBytes} bytes`)
    hash.update(chunk)
    reader.write(chunk)
  }
  reader.finish()
  writer.finish()
  return { diffId: `sha256:${hash.digest('hex')}` as Digest, bytes, ownRoot: writer.ownRoot }
}

/** Writes out what the directory, and all else of its file system, holds; the thread stands still until it is done. */
export function syncTree(directory: string): void {
  using stack = new DisposableStack()
  syncFileSystemHere(stack.adopt(openDirectory(directory), closeSync))
}
