import { messageOf } from '../engine-client/errors.ts'
import type { Face } from '../face.ts'
import { isOrphan } from './owner.ts'

/** Removes containers that lived with a terminal of a window that went without being able to clean up. */
export async function removeOrphans(face: Face): Promise<void> {
  const client = await face.client()
  for (const container of await face.inventory.containers()) {
    if (!isOrphan(container.Labels)) continue
    face.log.info(`Removing ${container.Names[0] ?? container.Id}: the window of its terminal is gone.`)
    await client.containers.remove(container.Id, true).catch((error) => face.log.warn(messageOf(error)))
  }
}
