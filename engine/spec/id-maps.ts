/** The users of a user namespace and whom they are on the machine; user_namespaces(7). Pure. */
import type { OciIdMapping } from './oci.ts'

export type IdMaps = { readonly uids: readonly OciIdMapping[]; readonly gids: readonly OciIdMapping[] }

export type Owner = { uid: number; gid: number }

/** Whom an id of the container is on the machine; undefined where no line of the map has it. */
export function hostId(mappings: readonly OciIdMapping[], id: number): number | undefined {
  const line = mappings.find(({ containerID, size }) => id >= containerID && id < containerID + size)
  return line === undefined ? undefined : line.hostID + id - line.containerID
}

/** Whom an id of the machine is in the container; undefined where no line of the map has it. */
export function containerId(mappings: readonly OciIdMapping[], id: number): number | undefined {
  const line = mappings.find(({ hostID, size }) => id >= hostID && id < hostID + size)
  return line === undefined ? undefined : line.containerID + id - line.hostID
}

/** What a container shows for whom it does not know; /proc/sys/kernel/overflowuid. */
const nobody = 65534

export const seenInside = ({ uids, gids }: IdMaps, { uid, gid }: Owner): Owner => ({
  uid: containerId(uids, uid) ?? nobody,
  gid: containerId(gids, gid) ?? nobody,
})
