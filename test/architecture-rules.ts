/**
 * The rules that every file of the project is held to, as functions from files to sentences: no I/O, so that the test
 * can plant a violation of each and see it found.
 */
import { posix } from 'node:path'

export type SourceFile = { readonly path: string; readonly text: string }
export type Ladder = readonly (readonly string[])[]
export type Reserved = readonly { module: string; importers: readonly string[] }[]
type Import = { specifier: string; typeOnly: boolean }

/** What a file of the extension may see of the project besides itself; the engine's part as types only. */
const visibleToExtension = [/^engine\/api\/contract\//, /^webview\/.*messages\.ts$/]
const visibleToWebview = [/^engine\/api\/contract\//]
const forbiddenNames = ['utils', 'util', 'helpers', 'helper', 'common', 'manager', 'index', 'misc']

const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')

/** Static imports, re-exports and imports by call with a literal, in order of appearance. */
export function importsOf(text: string): Import[] {
  const found: Import[] = []
  const statement =
    /^\s*(?:import|export)\s+(type\s+)?(?:[\w*\s{},$]+?\s+from\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm
  for (const [, type, fixed, called] of withoutComments(text).matchAll(statement))
    found.push({ specifier: (fixed ?? called) as string, typeOnly: type !== undefined })
  return found
}

const resolved = (from: string, specifier: string): string | undefined =>
  specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : undefined

const matches = (path: string, pattern: string): boolean =>
  pattern.includes('*')
    ? new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`).test(path)
    : path.startsWith(pattern)

const engineFolder = (path: string): string | undefined => /^engine\/([^/]+)\//.exec(path)?.[1]

/** Engine files import their own folder or a lower rung; main.ts, the composition root, may see everything. */
export function ladderViolations(files: readonly SourceFile[], ladder: Ladder): string[] {
  const rungs = new Map(ladder.flatMap((names, rung) => names.map((name) => [name, rung] as const)))
  const found: string[] = []
  for (const { path, text } of files) {
    const folder = engineFolder(path)
    if (folder === undefined) continue
    const rung = rungs.get(folder)
    if (rung === undefined) {
      found.push(`${path}: the folder ${folder} is not on the ladder`)
      continue
    }
    for (const { specifier } of importsOf(text)) {
      const target = resolved(path, specifier)
      if (target === undefined) continue
      const targetFolder = engineFolder(target)
      if (targetFolder === folder) continue
      const targetRung = targetFolder === undefined ? undefined : rungs.get(targetFolder)
      if (targetRung === undefined) found.push(`${path}: imports ${target}, which is no folder of the ladder`)
      else if (targetRung >= rung)
        found.push(`${path}: imports ${targetRung > rung ? 'up' : 'sideways'}, from ${targetFolder}: ${target}`)
    }
  }
  return found
}

/** The face sees the engine's contract as types, a page's messages, and nothing else; a page sees the contract. */
export function borderViolations(files: readonly SourceFile[]): string[] {
  const found: string[] = []
  for (const { path, text } of files) {
    const home = /^(extension|webview|engine)\//.exec(path)?.[1]
    if (home === undefined) continue
    for (const { specifier, typeOnly } of importsOf(text)) {
      const target = resolved(path, specifier)
      if (target === undefined || target.startsWith(`${home}/`)) continue
      const visible = home === 'extension' ? visibleToExtension : home === 'webview' ? visibleToWebview : []
      if (!visible.some((pattern) => pattern.test(target)))
        found.push(`${path}: ${target} is not visible from ${home}/`)
      else if (target.startsWith('engine/') && !typeOnly) found.push(`${path}: imports ${target} not as type only`)
    }
  }
  return found
}

/** Modules that only the files of the table import. `type` imports count: the name is a dependency, too. */
export function reservedViolations(files: readonly SourceFile[], table: Reserved): string[] {
  const found: string[] = []
  for (const { path, text } of files)
    for (const { specifier } of importsOf(text)) {
      const name = specifier === 'child_process' || specifier === 'sqlite' ? `node:${specifier}` : specifier
      const row = table.find(({ module }) => module === name)
      if (row !== undefined && !row.importers.some((pattern) => matches(path, pattern)))
        found.push(`${path}: ${specifier} is reserved for ${row.importers.join(', ')}`)
    }
  return found
}

/** Each circle of imports once, as `a → b → a`. Type imports count: a circle of types is a knot for the reader as well. */
export function cycleViolations(files: readonly SourceFile[]): string[] {
  const known = new Set(files.map(({ path }) => path))
  const edges = new Map(
    files.map(({ path, text }) => [
      path,
      importsOf(text)
        .map(({ specifier }) => resolved(path, specifier))
        .filter((target): target is string => target !== undefined && known.has(target)),
    ]),
  )
  const found: string[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path)
    if (at >= 0) found.push([...trail.slice(at), path].join(' → '))
    if (at >= 0 || done.has(path)) return
    for (const target of edges.get(path) ?? []) visit(target, [...trail, path])
    done.add(path)
  }
  for (const path of known) visit(path, [])
  return found
}

export function sizeViolations(files: readonly SourceFile[], most = 400): string[] {
  return files
    .filter(({ path }) => !path.endsWith('.table.ts'))
    .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > most)
    .map(({ path, lines }) => `${path}: ${lines} lines, more than ${most}: split it by meaning`)
}

/** kebab-case, with dots for kinds of file (`libc.ffi.ts`), and none of the names that say nothing. */
export function nameViolations(files: readonly SourceFile[]): string[] {
  const found: string[] = []
  for (const { path } of files)
    for (const part of path.split('/')) {
      const [stem = '', ...kinds] = part.replace(/^\./, '').split('.')
      if (forbiddenNames.includes(stem)) found.push(`${path}: the name ${stem} says nothing`)
      if (![stem, ...kinds].every((word) => /^[a-z0-9]+(-[a-z0-9]+)*$/.test(word)))
        found.push(`${path}: ${part} is not in kebab-case`)
    }
  return found
}

/** No file tells where some developer's copy of it lies. `places` are absolute paths. */
export function placeViolations(files: readonly SourceFile[], places: readonly string[]): string[] {
  return files.flatMap(({ path, text }) =>
    places
      .filter((place) => new RegExp(`${place.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?![\\w.-])`).test(text))
      .map((place) => `${path}: names ${place}, a place on somebody's machine`),
  )
}
