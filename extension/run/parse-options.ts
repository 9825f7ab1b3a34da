import type { CreateContainerRequest, HostConfig } from '../../engine/api/contract/docker.ts'
import { parseBytes } from '../engine-client/format.ts'

/** What a person typed for a new container; lists are separated by commas, words of the command by spaces. */
export type RunAnswers = {
  image: string
  name: string
  ports: string
  mounts: string
  env: string
  memory: string
  cpus: string
  pids: string
  command: string
}

export const emptyAnswers = (image: string): RunAnswers => ({
  image,
  name: '',
  ports: '',
  mounts: '',
  env: '',
  memory: '',
  cpus: '',
  pids: '',
  command: '',
})

const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

const portForm = /^(?:(?:(\d{1,3}(?:\.\d{1,3}){3}):)?(\d{1,5}):)?(\d{1,5})(?:\/(tcp|udp))?$/
const isPort = (text: string): boolean => Number(text) >= 1 && Number(text) <= 65_535

/** Each answer's check: one sentence, or undefined. An empty answer is always good. */
export const problemOf: { [Field in keyof RunAnswers]: (text: string) => string | undefined } = {
  image: () => undefined,
  name: (text) =>
    text === '' || /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text)
      ? undefined
      : 'A name has at least two of the characters a-z, 0-9, _ . and -, and starts with a letter or digit.',
  ports: (text) => first(listOf(text), portProblem),
  mounts: (text) => first(listOf(text), mountProblem),
  env: (text) =>
    first(listOf(text), (part) => (/^[^=\s]+=/.test(part) ? undefined : `${quote(part)} is not NAME=value.`)),
  memory: (text) =>
    text === '' || memoryOf(text) ? undefined : 'Write a size of at least 6m, for example 512m or 2g.',
  cpus: (text) => (text === '' || Number(text) > 0 ? undefined : 'Write a number of processors, for example 1.5.'),
  pids: (text) => (/^([1-9]\d*)?$/.test(text) ? undefined : 'Write how many processes may run, for example 200.'),
  command: () => undefined,
}

const quote = (text: string): string => JSON.stringify(text)
const first = (parts: string[], check: (part: string) => string | undefined): string | undefined =>
  parts.map(check).find((problem) => problem !== undefined)

function portProblem(part: string): string | undefined {
  const [, , host, inside] = portForm.exec(part) ?? []
  return inside && isPort(inside) && (host === undefined || isPort(host))
    ? undefined
    : `${quote(part)} is not a port: write 8080:80, 127.0.0.1:8080:80 or 80.`
}

function mountProblem(part: string): string | undefined {
  const [source = '', target = '', ...rest] = part.split(':')
  return source !== '' && target.startsWith('/') && rest.length <= 1
    ? undefined
    : `${quote(part)} is not a mount: write /folder:/path, volume:/path or /folder:/path:ro.`
}

/** Docker refuses less than 6 MiB. */
function memoryOf(text: string): number | null {
  const bytes = parseBytes(text)
  return bytes !== null && bytes >= 6 * 1024 ** 2 ? bytes : null
}

/** Precondition: no answer has a problem. */
export function createRequest(answers: RunAnswers): CreateContainerRequest {
  const ports = listOf(answers.ports).map((part) => portForm.exec(part)!)
  const keyOf = (match: RegExpExecArray): string => `${match[3]}/${match[4] ?? 'tcp'}`
  const bindings: NonNullable<HostConfig['PortBindings']> = {}
  for (const match of ports) {
    const list = bindings[keyOf(match)] ?? []
    bindings[keyOf(match)] = [...list, { HostIp: match[1] ?? '', HostPort: match[2] ?? '' }]
  }
  const command = wordsOf(answers.command)
  return {
    Image: answers.image,
    Tty: true,
    OpenStdin: true,
    Env: listOf(answers.env),
    ...(command.length > 0 ? { Cmd: command } : {}),
    ExposedPorts: Object.fromEntries(ports.map((match) => [keyOf(match), {}])),
    HostConfig: {
      Binds: listOf(answers.mounts),
      PortBindings: bindings,
      ...(answers.memory ? { Memory: memoryOf(answers.memory) ?? 0 } : {}),
      ...(answers.cpus ? { NanoCpus: Math.round(Number(answers.cpus) * 1e9) } : {}),
      ...(answers.pids ? { PidsLimit: Number(answers.pids) } : {}),
    },
  }
}

/** Words as a shell would split them, with single and double quotes and nothing else of a shell. */
export function wordsOf(text: string): string[] {
  const words = text.match(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g) ?? []
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, (_all, double, single) => double ?? single))
}
