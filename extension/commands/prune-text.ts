import type { PrunePreview, PrunePreviewRequest } from '../../engine/api/contract/drydock.ts'
import { counted, formatBytes, shortId } from '../engine-client/format.ts'

/** How many names of each kind are listed before the rest is only counted. */
const listed = 8

export const itemCount = (preview: PrunePreview): number =>
  preview.Containers.length + preview.Images.length + preview.Volumes.length + preview.Networks.length

/** `3 containers and 1 image, 1.2 GB`. */
export function pruneSummary(preview: PrunePreview): string {
  const parts = (
    [
      [preview.Containers.length, 'container'],
      [preview.Images.length, 'image'],
      [preview.Volumes.length, 'volume'],
      [preview.Networks.length, 'network'],
    ] as const
  )
    .filter(([count]) => count > 0)
    .map(([count, noun]) => counted(count, noun))
  const last = parts.pop() ?? 'nothing'
  const things = parts.length > 0 ? `${parts.join(', ')} and ${last}` : last
  return `${things}, ${formatBytes(preview.Bytes)}`
}

/** What goes, a line for each kind. */
export function pruneDetail(preview: PrunePreview): string {
  const lines: [string, string[]][] = [
    ['Containers', preview.Containers.map(({ Name, Bytes }) => `${Name.replace(/^\//, '')} (${formatBytes(Bytes)})`)],
    ['Images', preview.Images.map(({ Id, Tags, Bytes }) => `${Tags[0] ?? shortId(Id)} (${formatBytes(Bytes)})`)],
    ['Volumes', preview.Volumes.map(({ Name, Bytes }) => `${Name} (${formatBytes(Bytes)})`)],
    ['Networks', preview.Networks.map(({ Name }) => Name)],
  ]
  return lines
    .filter(([, names]) => names.length > 0)
    .map(([kind, names]) => {
      const rest = names.length > listed ? `, and ${names.length - listed} more` : ''
      return `${kind}: ${names.slice(0, listed).join(', ')}${rest}`
    })
    .join('\n')
}

export type PruneChoice = { label: string; detail: string; key: keyof PrunePreviewRequest; picked: boolean }

export const pruneChoices: readonly PruneChoice[] = [
  { label: 'Stopped containers', detail: 'with their files', key: 'Containers', picked: true },
  { label: 'Dangling images', detail: 'layers that no tag names', key: 'Images', picked: true },
  { label: 'All unused images', detail: 'every image that no container uses', key: 'AllImages', picked: false },
  { label: 'Anonymous volumes', detail: 'unused ones that nobody named', key: 'Volumes', picked: false },
  {
    label: 'All unused volumes',
    detail: 'named ones too: what is stored in them is lost',
    key: 'AllVolumes',
    picked: false,
  },
  { label: 'Unused networks', detail: 'that no container is in', key: 'Networks', picked: true },
]

/** `All…` includes the lesser kind. */
export function pruneRequest(keys: readonly (keyof PrunePreviewRequest)[]): PrunePreviewRequest {
  const request: PrunePreviewRequest = Object.fromEntries(keys.map((key) => [key, true]))
  if (request.AllImages) request.Images = true
  if (request.AllVolumes) request.Volumes = true
  return request
}
