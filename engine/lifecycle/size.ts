/** What a container takes on the disk. */
import { isKind } from '../base/errors.ts'
import type { Container } from './container.ts'
import type { Engine } from './engine.ts'

/** Bytes written into it, and bytes in all. */
export async function size(engine: Engine, reference: string): Promise<{ sizeRw: number; sizeRootFs: number }> {
  const container = engine.table.get(reference)
  const { bytes } = await engine.snapshotter.usage(container.id)
  return { sizeRw: bytes, sizeRootFs: bytes + imageSize(engine, container) }
}

function imageSize(engine: Engine, { imageId }: Container): number {
  try {
    return engine.images.get(imageId).size
  } catch (error) {
    // Removed by force: its layers are still there, its record is not.
    if (isKind(error, 'not-found')) return 0
    throw error
  }
}
