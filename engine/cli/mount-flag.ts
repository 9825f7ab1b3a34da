/** `--mount type=…,source=…,target=…`: one line of CSV. Pure. */
import type { MountRequest } from '../api/contract/docker.ts'
import { parseBytes } from './units.ts'

/** Fields of a CSV line; a quoted one may hold commas, and doubled quotes for a quote. */
function csvFields(line: string): string[] {
  const fields = line.match(/(?:"(?:[^"]|"")*"|[^,"])+/g) ?? []
  return fields.map((field) =>
    field.includes('"')
      ? field.replaceAll(/"((?:[^"]|"")*)"/g, (_all, inner: string) => inner.replaceAll('""', '"'))
      : field,
  )
}

const flagOf = (key: string, value: string | undefined): boolean => {
  if (value === undefined || ['true', '1'].includes(value)) return true
  if (['false', '0'].includes(value)) return false
  throw new Error(`invalid value for ${key}: ${value}`)
}

type Setter = (mount: MountRequest, value: string | undefined, key: string) => void

const needed = (value: string | undefined, key: string): string => {
  if (value === undefined || value === '') throw new Error(`invalid field '${key}' must be a key=value pair`)
  return value
}

const setters: Readonly<Record<string, Setter>> = {
  type: (mount, value, key) => {
    mount.Type = needed(value, key).toLowerCase() as MountRequest['Type']
  },
  source: (mount, value, key) => {
    mount.Source = needed(value, key)
  },
  target: (mount, value, key) => {
    mount.Target = needed(value, key)
  },
  readonly: (mount, value, key) => {
    mount.ReadOnly = flagOf(key, value)
  },
  consistency: (mount, value, key) => {
    mount.Consistency = needed(value, key)
  },
  'bind-propagation': (mount, value, key) => {
    mount.BindOptions = { ...mount.BindOptions, Propagation: needed(value, key) }
  },
  'bind-create-src': (mount, value, key) => {
    mount.BindOptions = { ...mount.BindOptions, CreateMountpoint: flagOf(key, value) }
  },
  'volume-nocopy': (mount, value, key) => {
    mount.VolumeOptions = { ...mount.VolumeOptions, NoCopy: flagOf(key, value) }
  },
  'volume-subpath': (mount, value, key) => {
    mount.VolumeOptions = { ...mount.VolumeOptions, Subpath: needed(value, key) }
  },
  'tmpfs-size': (mount, value, key) => {
    mount.TmpfsOptions = { ...mount.TmpfsOptions, SizeBytes: parseBytes(needed(value, key)) }
  },
  'tmpfs-mode': (mount, value, key) => {
    mount.TmpfsOptions = { ...mount.TmpfsOptions, Mode: Number.parseInt(needed(value, key), 8) }
  },
}

const otherNames: Readonly<Record<string, string>> = {
  src: 'source',
  destination: 'target',
  dst: 'target',
  ro: 'readonly',
}

export function parseMount(text: string): MountRequest {
  const mount = { Type: 'volume', Target: '' } as MountRequest
  for (const field of csvFields(text)) {
    const separator = field.indexOf('=')
    const key = (separator === -1 ? field : field.slice(0, separator)).trim().toLowerCase()
    const setter = setters[otherNames[key] ?? key]
    if (setter === undefined) throw new Error(`unexpected key '${key}' in '${field}'`)
    setter(mount, separator === -1 ? undefined : field.slice(separator + 1), key)
  }
  if (mount.Target === '') throw new Error('target is required')
  return mount
}
