/** The verbs once more, below what they are about: `container ls`, `image rm`, `system df`; as Docker has them. */
import type { Command } from 'commander'
import type { ApiClient } from './api-client.ts'
import { addContainerVerbs } from './container-verbs.ts'
import { addDiskUsage } from './disk-usage.ts'
import { addExecCommand } from './exec.ts'
import { addImageVerbs } from './image-verbs.ts'
import { addEvents, addInfo, inspectKind } from './inspect.ts'
import { addHistory, addLayerVerbs } from './layer-verbs.ts'
import { addImages, addPs } from './lists.ts'
import { addPrune, addSystemPrune } from './prune.ts'
import { addRunCommands } from './run.ts'
import { addStats } from './stats.ts'

function addContainers(program: Command, client: () => ApiClient): void {
  const group = program.command('container').description('The verbs of containers')
  addRunCommands(group, client)
  addExecCommand(group, client)
  addPs(group.command('ls').aliases(['list', 'ps']), client)
  addContainerVerbs(group, client)
  addLayerVerbs(group, client)
  addStats(group, client)
  inspectKind(group, client, 'container').option('-s, --size', 'with sizes')
  addPrune(group, client, 'containers')
}

function addImageGroup(program: Command, client: () => ApiClient): void {
  const group = program.command('image').description('The verbs of images')
  addImages(group.command('ls').alias('list'), client)
  addImageVerbs(group, client, 'rm')
  addHistory(group, client)
  inspectKind(group, client, 'image')
  addPrune(group, client, 'images')
}

function addSystem(program: Command, client: () => ApiClient): void {
  const group = program.command('system').description('The engine and its disk')
  addDiskUsage(group, client)
  addInfo(group, client)
  addEvents(group, client)
  addSystemPrune(group, client)
}

export function addGroups(program: Command, client: () => ApiClient): void {
  addContainers(program, client)
  addImageGroup(program, client)
  addSystem(program, client)
}
