import * as vscode from 'vscode'
import type { Face } from '../face.ts'
import { containerNodes } from './container-nodes.ts'
import type { TreeNode } from './node.ts'
import { imageNodes, storageNodes } from './store-nodes.ts'
import { cgroupsNode, engineNode, namespacesNode } from './system-nodes.ts'
import { NodeTree, type TreeSource } from './tree-view.ts'

/** The four views of the activity bar. */
export function registerViews(face: Face): vscode.Disposable {
  const tree = (source: TreeSource): NodeTree => new NodeTree(source, face.life, face.inventory)
  const containers = tree({
    view: 'drydock.containers',
    topic: 'containers',
    load: async () => containerNodes(await face.inventory.containers()),
  })
  return vscode.Disposable.from(
    containers,
    face.inventory.onDidCount((count) => containers.setBadge(count)),
    tree({
      view: 'drydock.images',
      topic: 'images',
      load: async () => imageNodes(await (await face.client()).store.images(), Date.now()),
    }),
    tree({ view: 'drydock.storage', topic: 'storage', load: () => loadStorage(face) }),
    tree({ view: 'drydock.system', topic: 'system', load: () => loadSystem(face) }),
  )
}

async function loadStorage(face: Face): Promise<TreeNode[]> {
  const { store } = await face.client()
  const [volumes, networks] = await Promise.all([store.volumes(), store.networks()])
  return storageNodes(volumes, networks)
}

async function loadSystem(face: Face): Promise<TreeNode[]> {
  const client = await face.client()
  const [info, namespaces, cgroups] = await Promise.all([client.info(), client.namespaces(), client.cgroups()])
  return [engineNode(info, client.socketPath), namespacesNode(namespaces.Namespaces), cgroupsNode(cgroups)]
}
