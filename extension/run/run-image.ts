import * as vscode from 'vscode'
import { type Clicked, chooseImages, subjectsOf } from '../commands/choose.ts'
import type { Face } from '../face.ts'
import { openTerminal } from '../terminal/container-terminal.ts'
import { ownerLabels } from '../terminal/owner.ts'
import { firstProcess, leaveContainer } from '../terminal/processes.ts'
import { chooseImage } from './choose-image.ts'
import { createRequest, emptyAnswers, problemOf, type RunAnswers } from './parse-options.ts'
import { ensureImage } from './pull-image.ts'

type Field = Exclude<keyof RunAnswers, 'image'>

const fields: readonly { field: Field; label: string; icon: string; prompt: string }[] = [
  { field: 'name', label: 'Name', icon: 'tag', prompt: 'A name for the container; empty for one of its own' },
  { field: 'ports', label: 'Ports', icon: 'plug', prompt: 'Ports, separated by commas: 8080:80, 127.0.0.1:5432:5432' },
  {
    field: 'mounts',
    label: 'Mounts',
    icon: 'folder',
    prompt: 'Mounts, separated by commas: /folder:/path, volume:/path:ro',
  },
  { field: 'env', label: 'Environment', icon: 'symbol-variable', prompt: 'Variables, separated by commas: NAME=value' },
  { field: 'memory', label: 'Memory', icon: 'pulse', prompt: 'The most memory it may have: 512m, 2g' },
  { field: 'cpus', label: 'Processors', icon: 'dashboard', prompt: 'How many processors it may have: 1.5' },
  { field: 'pids', label: 'Processes', icon: 'list-unordered', prompt: 'How many processes may run in it: 200' },
  {
    field: 'command',
    label: 'Command',
    icon: 'terminal',
    prompt: 'What to run instead of what the image runs: npm test',
  },
]

type StepItem = vscode.QuickPickItem & { step: Field | 'run' | 'background' }

/** "Run Image…": a page of settings where each has its check; Enter on the first line runs. */
export async function runImage(face: Face, clicked: Clicked): Promise<void> {
  const fromTree = subjectsOf(clicked, 'image').length > 0
  const image = fromTree
    ? (await chooseImages(face, clicked, ''))[0]?.tag
    : await chooseImage(face, undefined, 'Run Image')
  if (!image) return
  const answers = emptyAnswers(image)
  for (;;) {
    const picked = await vscode.window.showQuickPick(stepItems(answers), {
      title: `Run ${image}`,
      placeHolder: 'Run, or change a setting',
    })
    if (!picked) return
    if (picked.step === 'run' || picked.step === 'background') return await start(face, answers, picked.step === 'run')
    await ask(answers, picked.step)
  }
}

const stepItems = (answers: RunAnswers): StepItem[] => [
  { step: 'run', label: '$(play) Run in a Terminal', description: 'removed when the terminal closes' },
  { step: 'background', label: '$(server-process) Run in the Background', description: 'stays until it is removed' },
  { step: 'run', label: 'settings', kind: vscode.QuickPickItemKind.Separator },
  ...fields.map(({ field, label, icon }) => ({
    step: field,
    label: `$(${icon}) ${label}`,
    description: answers[field] || 'default',
  })),
]

/** Escape leaves the setting as it was. */
async function ask(answers: RunAnswers, field: Field): Promise<void> {
  const { label, prompt } = fields.find((one) => one.field === field)!
  const options = { title: `Run ${answers.image}: ${label}`, prompt, value: answers[field], ignoreFocusOut: true }
  const typed = await vscode.window.showInputBox({ ...options, validateInput: (text) => problemOf[field](text.trim()) })
  if (typed !== undefined) answers[field] = typed.trim()
}

async function start(face: Face, answers: RunAnswers, inTerminal: boolean): Promise<void> {
  const client = await face.client()
  await ensureImage(client, answers.image)
  const request = createRequest(answers)
  const host = { ...request.HostConfig, AutoRemove: inTerminal }
  const labels = inTerminal ? ownerLabels() : {}
  const { Id } = await client.containers.create({ ...request, Labels: labels, HostConfig: host }, answers.name)
  if (!inTerminal) return await client.containers.act(Id, 'start')
  const process = firstProcess(client, Id, (hurried) => leaveContainer(client, Id, false, hurried))
  openTerminal(face, process, { name: answers.name || answers.image, icon: 'package', waitAfterFailure: true })
}
