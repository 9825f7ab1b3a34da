/** What the folder's own files say about it. Absent: there is no such file. */
export type FolderFacts = {
  names: ReadonlySet<string>
  packageJson?: string
  pythonVersion?: string
  nodeVersion?: string
}

export type ImageSuggestion = { image: string; why: string }

/** The files of the folder whose text matters, by the fact they fill. */
export const factFiles = {
  packageJson: ['package.json'],
  nodeVersion: ['.nvmrc', '.node-version'],
  pythonVersion: ['.python-version'],
} as const

const nodeDefault = '22'

/** Which other files stand for which image; the first that exists speaks. */
const byFile: readonly (readonly [image: string, ...names: string[]])[] = [
  ['golang', 'go.mod', 'go.work'],
  ['rust', 'Cargo.toml'],
  ['maven:3-eclipse-temurin-21', 'pom.xml'],
  ['gradle:jdk21', 'build.gradle', 'build.gradle.kts'],
  ['ruby:3', 'Gemfile'],
  ['php:8', 'composer.json'],
  ['elixir', 'mix.exs'],
  ['gcc', 'CMakeLists.txt', 'Makefile', 'meson.build'],
  ['mcr.microsoft.com/dotnet/sdk:9.0', 'global.json', 'Directory.Build.props'],
]

/** Images that fit the folder, best first; `host` always ends the list. */
export function suggestImages(facts: FolderFacts): ImageSuggestion[] {
  const found: ImageSuggestion[] = []
  if (facts.packageJson !== undefined)
    found.push({ image: `node:${nodeMajor(facts)}`, why: 'the folder has a package.json' })
  const python = ['pyproject.toml', 'requirements.txt', 'setup.py', 'Pipfile'].find((name) => facts.names.has(name))
  if (python) found.push({ image: `python:${pythonTag(facts.pythonVersion)}`, why: `the folder has a ${python}` })
  for (const [image, ...names] of byFile) {
    const name = names.find((candidate) => facts.names.has(candidate))
    if (name) found.push({ image, why: `the folder has a ${name}` })
  }
  return [...found, { image: 'host', why: "this machine's own programs, nothing to pull" }]
}

/** The lowest major version that `engines.node` or a version file names; an unreadable file is as none. */
function nodeMajor(facts: FolderFacts): string {
  const pinned = /^v?(\d+)/.exec(facts.nodeVersion?.trim() ?? '')?.[1]
  if (pinned) return pinned
  try {
    const { engines } = JSON.parse(facts.packageJson ?? '{}') as { engines?: { node?: unknown } }
    return /(\d+)/.exec(String(engines?.node ?? ''))?.[1] ?? nodeDefault
  } catch {
    return nodeDefault
  }
}

const pythonTag = (version: string | undefined): string => /^\d+(?:\.\d+)?/.exec(version?.trim() ?? '')?.[0] ?? '3'

/** Choices of before come first and once only. At most `limit` of them. */
export function rememberChoice(recent: readonly string[], image: string, limit = 5): string[] {
  return [image, ...recent.filter((other) => other !== image)].slice(0, limit)
}
