/** The files that `--userns-remap` reads; subuid(5), subgid(5), passwd(5), group(5). */
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { isErrno } from '../kernel/libc.ffi.ts'
import type { IdMaps } from '../spec/id-maps.ts'
import { subordinateIds, withDefaultRange } from './subordinate-ids.ts'

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return ''
    throw error
  }
}

/** Written aside and renamed: other programs read the file at any moment. */
function replace(path: string, text: string): void {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0o644
  writeFileSync(`${path}.drydock`, text, { mode: mode & 0o777, flush: true })
  renameSync(`${path}.drydock`, path)
}

/** With `default`, ids that nobody has are set aside first, as dockerd does for its user `dockremap`. */
export function readSubordinateIds(option: string, directory = '/etc'): IdMaps {
  if (option === 'default')
    for (const path of [`${directory}/subuid`, `${directory}/subgid`]) {
      const text = read(path)
      const wanted = withDefaultRange(text)
      if (wanted !== text) replace(path, wanted)
    }
  const [passwd, group, subuid, subgid] = ['passwd', 'group', 'subuid', 'subgid'].map((name) =>
    read(`${directory}/${name}`),
  ) as [string, string, string, string]
  return subordinateIds(option, { passwd, group, subuid, subgid })
}
