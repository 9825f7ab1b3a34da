import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The first file of that name on PATH that can be executed. */
export function onPath(name: string, path = process.env.PATH ?? ''): string | undefined {
  return path
    .split(delimiter)
    .filter((folder) => folder.startsWith('/'))
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export const elevators = (): string[] =>
  ['sudo', 'pkexec'].map((name) => onPath(name)).filter((file) => file !== undefined)

/**
 * The Node that the package has beside its engine; built from the sources there is none, and then the one that runs
 * this, unless it is Electron: a desktop VS Code is no Node that could be copied, and PATH has to have one.
 */
export function nodeProgram(engineDirectory: string): string | undefined {
  const packaged = join(engineDirectory, 'bin', 'node')
  if (isExecutable(packaged)) return packaged
  return process.versions.electron === undefined ? process.execPath : onPath('node')
}

/** Where `setup install` puts the engine; only its being there is looked at. */
export const isInstalled = (): boolean => existsSync('/opt/drydock/current')
