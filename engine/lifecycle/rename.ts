/** Wire fact 59. */
import { EngineError } from '../base/errors.ts'
import { announce, type Engine } from './engine.ts'
import { containerName } from './names.ts'

export async function rename(engine: Engine, reference: string, to: string): Promise<void> {
  const { id } = engine.table.get(reference)
  if (to === '') throw new EngineError('invalid', 'Neither old nor new names may be empty')
  const name = containerName(to)
  await engine.lock.run(id, () => {
    const before = engine.table.byId(id)
    if (before.name === name)
      throw new EngineError('invalid', 'Renaming a container with the same name as its current name')
    const after = engine.table.update(id, { name })
    announce(engine, after, 'rename', { oldName: `/${before.name}` })
  })
}
