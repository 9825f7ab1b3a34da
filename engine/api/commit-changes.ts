/** What `docker commit --change` can say: Dockerfile instructions that touch only the configuration. */
import type { ImageRunConfig } from '../images/image.ts'
import type { ContainerConfig } from '../lifecycle/container.ts'
import { invalid } from './errors.ts'

/** A JSON list, or a line for the shell. */
function command(text: string): string[] {
  if (text.startsWith('[')) {
    try {
      const list: unknown = JSON.parse(text)
      if (Array.isArray(list) && list.every((word) => typeof word === 'string')) return list
    } catch {
      // Not a list: the shell gets it as it is, as in a Dockerfile.
    }
  }
  return text === '' ? [] : ['/bin/sh', '-c', text]
}

/** `KEY=value …` with quotes, or the old form `KEY value`. */
function pairs(text: string): [string, string][] {
  const found = [...text.matchAll(/([^\s=]+)=("(?:[^"\\]|\\.)*"|'[^']*'|\S*)/g)]
  const unquote = (value: string): string =>
    /^".*"$/s.test(value) ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value.replace(/^'(.*)'$/s, '$1')
  if (found.length > 0) return found.map(([, key, value]) => [key!, unquote(value!)])
  const [key, ...rest] = text.split(/\s+/)
  if (key === undefined || rest.length === 0) throw invalid(`invalid change: ${JSON.stringify(text)} has no value`)
  return [[key, rest.join(' ')]]
}

const names = (text: string): string[] => (text.startsWith('[') ? command(text) : text.split(/\s+/))

function withEnv(config: ImageRunConfig, text: string): ImageRunConfig {
  const added = pairs(text)
  const kept = (config.Env ?? []).filter((entry) => !added.some(([key]) => entry.startsWith(`${key}=`)))
  return { ...config, Env: [...kept, ...added.map(([key, value]) => `${key}=${value}`)] }
}

const keys = (known: Record<string, object> | undefined, added: string[]): Record<string, object> => ({
  ...known,
  ...Object.fromEntries(added.map((name) => [name, {}])),
})

const instructions: Record<string, (config: ImageRunConfig, text: string) => ImageRunConfig> = {
  CMD: (config, text) => ({ ...config, Cmd: command(text) }),
  ENTRYPOINT: (config, text) => ({ ...config, Entrypoint: command(text) }),
  ENV: withEnv,
  LABEL: (config, text) => ({ ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairs(text)) } }),
  EXPOSE: (config, text) => ({
    ...config,
    ExposedPorts: keys(
      config.ExposedPorts,
      names(text).map((port) => (port.includes('/') ? port : `${port}/tcp`)),
    ),
  }),
  VOLUME: (config, text) => ({ ...config, Volumes: keys(config.Volumes, names(text)) }),
  USER: (config, text) => ({ ...config, User: text }),
  WORKDIR: (config, text) => ({ ...config, WorkingDir: text }),
  STOPSIGNAL: (config, text) => ({ ...config, StopSignal: text }),
  ONBUILD: (config, text) => ({ ...config, OnBuild: [...(config.OnBuild ?? []), text] }),
}

function change(config: ImageRunConfig, line: string): ImageRunConfig {
  const [, name = '', text = ''] = /^\s*(\w+)\s*([\s\S]*?)\s*$/.exec(line) ?? []
  const apply = instructions[name.toUpperCase()]
  if (apply === undefined) throw invalid(`${name || line} is not a valid change command`)
  return apply(config, text)
}

/** The part of a container's configuration that an image keeps, with what the request says on top. */
export function changed(
  container: ContainerConfig,
  body: Partial<ContainerConfig>,
  changes: readonly string[],
): ImageRunConfig {
  const config: ImageRunConfig = {}
  const merged = { ...container, ...body }
  const kept = [
    'User',
    'ExposedPorts',
    'Env',
    'Entrypoint',
    'Cmd',
    'Volumes',
    'WorkingDir',
    'Labels',
    'StopSignal',
    'StopTimeout',
    'Shell',
    'Healthcheck',
    'OnBuild',
  ] as const
  for (const key of kept) if (merged[key] !== undefined) Object.assign(config, { [key]: merged[key] })
  return changes
    .flatMap((text) => text.split('\n'))
    .filter((line) => line.trim() !== '')
    .reduce(change, config)
}
