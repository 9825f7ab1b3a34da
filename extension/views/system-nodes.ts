import type { Info } from '../../engine/api/contract/docker-store.ts'
import type { CgroupNode, CgroupTree, NamespaceInfo, NamespaceMember } from '../../engine/api/contract/drydock.ts'
import { counted, formatMemory } from '../engine-client/format.ts'
import type { TreeNode } from './node.ts'

/** What each kind of namespace holds apart; namespaces(7). */
export const namespaceMeaning: Record<string, string> = {
  cgroup: 'control groups',
  ipc: 'shared memory and message queues',
  mnt: 'mounts',
  net: 'network',
  pid: 'process numbers',
  time: 'clocks',
  user: 'users and capabilities',
  uts: 'host name',
}

const leaf = (id: string, label: string, description: string, icon: string, spoken: string): TreeNode => ({
  id,
  label,
  description,
  icon,
  spoken,
  tooltip: `${label}: ${description}`,
  context: 'fact',
})

/** Facts of the engine; its warnings first, since they say what a missing kernel feature costs. */
export function engineNode(info: Info, socketPath: string): TreeNode {
  const facts: [string, string][] = [
    ['Version', info.ServerVersion],
    ['Socket', socketPath],
    ['Kernel', info.KernelVersion],
    ['System', info.OperatingSystem],
    ['Cgroups', `version ${info.CgroupVersion}, driver ${info.CgroupDriver}`],
    ['Storage', `${info.Driver} in ${info.DockerRootDir}`],
    ['Supervisors', info.DrydockSupervisors === 'process' ? 'a Node process each (fallback)' : 'forked'],
    ['Security', (info.SecurityOptions ?? []).map((option) => option.replace(/^name=/, '')).join(', ') || 'none'],
    ['Processors', String(info.NCPU)],
    ['Memory', formatMemory(info.MemTotal)],
  ]
  const warnings = (info.Warnings ?? []).map((text, index) => ({
    ...leaf(`warning:${index}`, text, '', 'warning', `warning: ${text}`),
    tooltip: text,
    color: 'list.warningForeground',
  }))
  return {
    id: 'engine',
    label: 'Engine',
    description: info.ServerVersion,
    icon: 'server-process',
    spoken: `engine, version ${info.ServerVersion}, ${counted(warnings.length, 'warning')}`,
    context: 'group:engine',
    expanded: true,
    children: [
      ...warnings,
      ...facts.map(([name, value]) => leaf(`fact:${name}`, name, value, 'info', `${name}: ${value}`)),
    ],
  }
}

export function namespacesNode(namespaces: readonly NamespaceInfo[]): TreeNode {
  const kinds = Map.groupBy(namespaces, (namespace) => namespace.Type)
  return {
    id: 'namespaces',
    label: 'Namespaces',
    description: String(namespaces.length),
    icon: 'symbol-namespace',
    spoken: `namespaces, ${namespaces.length}`,
    context: 'group:namespaces',
    children: [...kinds].toSorted(([a], [b]) => a.localeCompare(b)).map(([kind, list]) => kindNode(kind, list)),
  }
}

function kindNode(kind: string, list: NamespaceInfo[]): TreeNode {
  return {
    id: `namespaces:${kind}`,
    label: kind,
    description: `${namespaceMeaning[kind] ?? ''} · ${list.length}`,
    icon: 'symbol-namespace',
    spoken: `${kind} namespaces, ${namespaceMeaning[kind] ?? ''}, ${list.length}`,
    context: 'group:namespaces',
    children: list.toSorted((a, b) => Number(b.Host) - Number(a.Host) || a.Id - b.Id).map(namespaceNode),
  }
}

function namespaceNode(namespace: NamespaceInfo): TreeNode {
  const owners = [...new Set(namespace.Members.map((member) => member.ContainerName).filter((name) => name !== null))]
  const who = namespace.Host ? ['this machine', ...owners].join(', ') : owners.join(', ')
  const id = `namespace:${namespace.Type}:${namespace.Id}`
  return {
    id,
    label: String(namespace.Id),
    description: `${who || 'no container'} · ${counted(namespace.Members.length, 'process')}`,
    icon: namespace.Host ? 'vm' : owners.length > 1 ? 'link' : 'symbol-namespace',
    spoken: `${namespace.Type} namespace ${namespace.Id}, ${namespace.Host ? "this machine's own" : who || 'no container'}`,
    context: 'namespace',
    children: namespace.Members.map((member) => memberNode(id, member)),
  }
}

/** A click shows whose it is. */
const detailsOf = (containerId: string | null): Pick<TreeNode, 'command'> =>
  containerId === null
    ? {}
    : { command: { id: 'drydock.container.details', title: 'Show Details', arguments: [containerId] } }

const memberNode = (parent: string, member: NamespaceMember): TreeNode => ({
  ...leaf(
    `${parent}:${member.Pid}`,
    member.Command,
    [String(member.Pid), member.ContainerName].filter(Boolean).join(' · '),
    'symbol-event',
    `process ${member.Pid}, ${member.Command}${member.ContainerName ? `, container ${member.ContainerName}` : ''}`,
  ),
  ...detailsOf(member.ContainerId),
})

export function cgroupsNode(tree: CgroupTree): TreeNode {
  return {
    id: 'cgroups',
    label: 'Control Groups',
    description: `version ${tree.Version}: ${tree.Controllers.join(', ')}`,
    icon: 'list-tree',
    spoken: `control groups, version ${tree.Version}, controllers ${tree.Controllers.join(', ')}`,
    context: 'group:cgroups',
    children: [cgroupNode(tree.Root, '')],
  }
}

function cgroupNode(group: CgroupNode, parentPath: string): TreeNode {
  const name = group.Path.startsWith(parentPath) ? group.Path.slice(parentPath.length).replace(/^\//, '') : group.Path
  const words = limitWords(group)
  return {
    id: `cgroup:${group.Path}`,
    label: group.ContainerName ?? (name || '/'),
    description: words.join(' · '),
    tooltip: [group.Path, ...words].join('\n'),
    icon: group.ContainerId === null ? 'list-tree' : 'package',
    spoken: `control group ${group.ContainerName ?? group.Path}, ${words.join(', ')}`,
    context: 'cgroup',
    ...detailsOf(group.ContainerId),
    expanded: parentPath === '',
    ...(group.Children.length > 0 ? { children: group.Children.map((child) => cgroupNode(child, group.Path)) } : {}),
  }
}

function limitWords(group: CgroupNode): string[] {
  const words: string[] = []
  if (group.MemoryUsage !== null) {
    const limit = group.MemoryLimit === null ? '' : ` of ${formatMemory(group.MemoryLimit)}`
    words.push(`${formatMemory(group.MemoryUsage)}${limit}`)
  }
  if (group.CpuLimit !== null) words.push(`${group.CpuLimit} CPU`)
  words.push(
    group.PidsLimit === null
      ? counted(group.Processes.length, 'process')
      : `${group.Processes.length} of ${group.PidsLimit} processes`,
  )
  return words
}
