/** Wire fact 59. */
import { EngineError } from '../base/errors.ts'
import { dnsNames } from './dns-names.ts'
import { announce, type Engine } from './engine.ts'
import { linkedFrom, renamedLinks } from './links.ts'
import { containerName } from './names.ts'

export async function rename(engine: Engine, reference: string, to: string): Promise<void> {
  const { id } = engine.table.get(reference)
  if (to === '') throw new EngineError('invalid', 'Neither old nor new names may be empty')
  const name = containerName(to)
  await engine.lock.run(id, () => {
    const before = engine.table.byId(id)
    if (before.name === name)
      throw new EngineError('invalid', 'Renaming a container with the same name as its current name')
    const renamed = engine.table.update(id, { name })
    const endpoints = engine.networks.rename(id, name, ({ networkName }) =>
      dnsNames(renamed, renamed.networks[networkName] ?? {}),
    )
    const after = endpoints.length === 0 ? renamed : engine.table.update(id, { endpoints })
    for (const { id: parent, hostConfig } of linkedFrom(engine, before))
      engine.table.update(parent, {
        hostConfig: { ...hostConfig, Links: renamedLinks(hostConfig.Links ?? [], before.name, name) },
      })
    announce(engine, after, 'rename', { oldName: `/${before.name}` })
  })
}
