import type { ImageSummary, Network, Volume } from '../../engine/api/contract/docker-store.ts'
import { counted, formatAge, formatBytes, shortId } from '../engine-client/format.ts'
import type { TreeNode } from './node.ts'

const builtIn = new Set(['bridge', 'host', 'none'])

/** One node for each tag; an image without one is shown by its id. `now` is milliseconds since the epoch. */
export function imageNodes(images: readonly ImageSummary[], now: number): TreeNode[] {
  return images.flatMap((image) => tagsOf(image).map((tag) => imageNode(image, tag, now))).toSorted(byLabel)
}

const byLabel = (a: TreeNode, b: TreeNode): number => a.label.localeCompare(b.label)

const tagsOf = (image: ImageSummary): string[] => {
  const tags = (image.RepoTags ?? []).filter((tag) => tag !== '<none>:<none>')
  return tags.length > 0 ? tags : [shortId(image.Id)]
}

function imageNode(image: ImageSummary, tag: string, now: number): TreeNode {
  const age = formatAge(now / 1000 - image.Created)
  const size = formatBytes(image.Size)
  const used = image.Containers > 0 ? `, used by ${counted(image.Containers, 'container')}` : ''
  const tagged = image.RepoTags?.includes(tag) ?? false
  return {
    id: `image:${image.Id}:${tag}`,
    label: tag,
    description: image.Created > 0 ? `${size} · ${age} old` : size,
    tooltip: [tag, `Id: ${shortId(image.Id)}`, `Size: ${size}`, ...(image.RepoDigests ?? [])].join('\n'),
    icon: tagged ? 'file-binary' : 'file',
    spoken: `image ${tag}, ${size}${used}`,
    context: 'image',
    subject: { kind: 'image', image, tag: tagged ? tag : image.Id },
  }
}

export function storageNodes(volumes: readonly Volume[], networks: readonly Network[]): TreeNode[] {
  return [
    group('volumes', 'Volumes', volumes.map(volumeNode).toSorted(byLabel)),
    group('networks', 'Networks', networks.map(networkNode).toSorted(byLabel)),
  ]
}

function group(id: string, label: string, children: TreeNode[]): TreeNode {
  const description = String(children.length)
  const spoken = `${label}, ${children.length}`
  return { id, label, description, icon: 'folder', spoken, context: `group:${id}`, children, expanded: true }
}

const volumeNode = (volume: Volume): TreeNode => ({
  id: `volume:${volume.Name}`,
  label: /^[0-9a-f]{64}$/.test(volume.Name) ? shortId(volume.Name) : volume.Name,
  ...(volume.UsageData && volume.UsageData.Size >= 0 ? { description: formatBytes(volume.UsageData.Size) } : {}),
  tooltip: `${volume.Name}\n${volume.Mountpoint}`,
  icon: 'database',
  spoken: `volume ${volume.Name}`,
  context: 'volume',
  subject: { kind: 'volume', volume },
})

function networkNode(network: Network): TreeNode {
  const subnets = (network.IPAM?.Config ?? []).map((config) => config.Subnet).filter((subnet) => subnet !== undefined)
  const where = subnets.join(', ')
  return {
    id: `network:${network.Id}`,
    label: network.Name,
    description: [network.Driver, where].filter(Boolean).join(' · '),
    tooltip: `${network.Name} (${shortId(network.Id)})\nDriver: ${network.Driver}${where ? `\nSubnet: ${where}` : ''}`,
    icon: 'type-hierarchy',
    spoken: `network ${network.Name}, driver ${network.Driver}${where ? `, subnet ${where}` : ''}`,
    context: builtIn.has(network.Name) ? 'network:builtin' : 'network:own',
    subject: { kind: 'network', network },
  }
}
