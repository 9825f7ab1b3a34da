/**
 * HostConfig.LogConfig: which drivers there are, which options each knows, and what they come to; wire fact 99. The log of
 * `local` has the form of the json-file one, under a name that clients are not told: nobody else may read it. Pure.
 */
import { EngineError } from '../base/errors.ts'
import { Pattern } from '../base/pattern.ts'
import type { Container, HostConfig } from './container.ts'

type LogConfig = HostConfig['LogConfig']

const invalid = (sentence: string): never => {
  throw new EngineError('invalid', sentence)
}

/** Options by driver; `none` takes any, as there is nothing that they could change. */
const options: Readonly<Record<string, readonly string[] | undefined>> = {
  'json-file': ['max-size', 'max-file', 'compress', 'labels', 'labels-regex', 'env', 'env-regex', 'tag'],
  local: ['max-size', 'max-file', 'compress'],
}

/** What every driver takes, and what of it there is. */
const common: Readonly<Record<string, string>> = { mode: 'blocking' }

export const logDrivers: readonly string[] = [...Object.keys(options), 'none']

export const logDriver = (log: LogConfig): string => log?.Type || 'json-file'

export function checkLog(log: LogConfig): void {
  const driver = logDriver(log)
  if (driver === 'none') return
  const known =
    (Object.hasOwn(options, driver) ? options[driver] : undefined) ??
    invalid(`logger: no log driver named '${driver}' is registered`)
  for (const [name, value] of Object.entries(log?.Config ?? {})) {
    const only = Object.hasOwn(common, name) ? common[name] : undefined
    if (only !== undefined && value !== only) invalid(`logger: logging mode not supported: ${value}; only ${only} is`)
    if (only === undefined && !known.includes(name)) invalid(`unknown log opt '${name}' for ${driver} log driver`)
  }
  checkCompress(log?.Config?.compress)
  for (const name of ['labels-regex', 'env-regex'] as const) pattern(name, log?.Config?.[name])
  tagOf({ id: '', name: '', imageId: '', config: { Image: '' } }, log?.Config?.tag ?? '')
  logLimits(log)
}

function checkCompress(compress: string | undefined): void {
  if (compress === undefined || /^(0|f|false)$/i.test(compress)) return
  invalid(
    /^(1|t|true)$/i.test(compress)
      ? 'compress: rotated log files stay as they are here; leave it out, or say compress=false'
      : `compress: ${JSON.stringify(compress)} is neither true nor false`,
  )
}

/** Bytes and files; -1 bytes is no limit. */
export function logLimits(log: LogConfig): { maxSize: number; maxFile: number } {
  const usual = logDriver(log) === 'local' ? { size: '20m', files: 5 } : { size: '-1', files: 1 }
  const { 'max-size': size = usual.size, 'max-file': files = usual.files } = log?.Config ?? {}
  const maxSize = size === '-1' ? -1 : bytesOf(size)
  const maxFile = Number(files)
  if (!Number.isInteger(maxFile) || maxFile < 1) invalid('max-file cannot be less than 1')
  if (maxSize === -1 && maxFile > 1 && log?.Config?.['max-file'] !== undefined)
    invalid('max-size must be set when max-file is')
  return { maxSize, maxFile }
}

/** `10m`, `512k`, `1g`, `1024`, `1.5GB`: powers of 1024. */
function bytesOf(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([kmgt])?(?:i?b)?$/i.exec(text.trim()) ?? []
  if (number === undefined) return invalid(`invalid size: '${text}'`)
  return Math.floor(Number(number) * 1024 ** ' kmgt'.indexOf(unit.toLowerCase() || ' '))
}

const listed = (text: string | undefined): string[] => (text ?? '').split(',').filter((name) => name !== '')

function pattern(option: string, text: string | undefined): Pattern | undefined {
  if (text === undefined || text === '') return undefined
  try {
    return new Pattern(text)
  } catch (error) {
    throw new EngineError('invalid', `${option}: ${JSON.stringify(text)} is not a regular expression`, { cause: error })
  }
}

type Tagged = Pick<Container, 'id' | 'name' | 'imageId'> & { config: Pick<Container['config'], 'Image'> }

/** Go's template as far as tags use it: fields of the container, nothing else. */
function tagOf(container: Tagged, template: string): string {
  const fields: Record<string, string> = {
    ID: container.id.slice(0, 12),
    FullID: container.id,
    Name: container.name,
    ImageID: container.imageId.slice(7, 19),
    ImageFullID: container.imageId,
    ImageName: container.config.Image,
    DaemonName: 'docker',
  }
  return template.replace(/\{\{(.*?)\}\}/g, (_, inner: string) => {
    const name = /^\s*\.(\w+)\s*$/.exec(inner)?.[1] ?? ''
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined
    return (
      value ??
      invalid(
        `tag: {{${inner}}} is none of ${Object.keys(fields)
          .map((name) => `{{.${name}}}`)
          .join(', ')}`,
      )
    )
  })
}

/** Labels, variables and the tag that the log's options name: kept with each line. undefined where there are none. */
export function logAttributes(container: Container): Record<string, string> | undefined {
  const { config, hostConfig } = container
  const given = hostConfig.LogConfig?.Config ?? {}
  const attributes: Record<string, string> = {}
  const take = (kind: 'labels' | 'env', values: Record<string, string>): void => {
    const names = listed(given[kind])
    const matching = pattern(`${kind}-regex`, given[`${kind}-regex`])
    for (const [name, value] of Object.entries(values))
      if (names.includes(name) || matching?.test(name) === true) attributes[name] = value
  }
  take('labels', config.Labels ?? {})
  take('env', Object.fromEntries((config.Env ?? []).map((variable) => halves(variable))))
  if (given.tag) attributes.tag = tagOf(container, given.tag)
  return Object.keys(attributes).length === 0 ? undefined : attributes
}

function halves(variable: string): [name: string, value: string] {
  const at = variable.indexOf('=')
  return at < 0 ? [variable, ''] : [variable.slice(0, at), variable.slice(at + 1)]
}
