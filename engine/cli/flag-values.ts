/** What several flags have in common: pairs, lists from files, absence. */
import { readFileSync } from 'node:fs'

export const keyValues = (entries: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    entries.map((entry) =>
      entry.includes('=') ? [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] : [entry, ''],
    ),
  )

/** Lines of files, without empty ones and comments. */
export const fileLines = (files: readonly string[]): string[] =>
  files
    .flatMap((file) => readFileSync(file, 'utf8').split(/\r?\n/))
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))

/** `NAME` alone takes the caller's value over, and is left out where there is none. */
export const environment = (entries: readonly string[], files: readonly string[], own: NodeJS.ProcessEnv): string[] =>
  [...fileLines(files), ...entries].flatMap((entry) => {
    if (entry.includes('=')) return [entry]
    return own[entry] === undefined ? [] : [`${entry}=${own[entry]}`]
  })

type Defined<Fields> = { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> }

/** Without the fields that are undefined: the API tells absent from given. */
export const given = <Fields extends object>(fields: Fields): Defined<Fields> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<Fields>
