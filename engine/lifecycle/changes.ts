/** docker diff; wire fact 170. */
import { layerChanges } from '../images/layer-changes.ts'
import type { Engine } from './engine.ts'

const kinds = { modified: 0, added: 1, deleted: 2 } as const

export async function changes(engine: Engine, reference: string): Promise<{ Path: string; Kind: 0 | 1 | 2 }[]> {
  const { id } = engine.table.get(reference)
  return layerChanges(engine.snapshotter.uppers(id)).map(({ path, kind }) => ({ Path: path, Kind: kinds[kind] }))
}
