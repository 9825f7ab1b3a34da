/** The runtimes below the engines, driven by their command line: what a container costs without a daemon. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { forkingNode, imageWords, launcherProgram } from '../../engine/kernel/launcher.ts'
import { hasImages } from '../../engine/kernel/process-image.ts'
import { findProgram } from './peers.ts'
import { Place } from './place.ts'
import { rootfsArchive } from './rootfs.ts'

const ownName = 'drydock-runtime'

export type Runtime = { place: Place; program: string }

export async function startRuntimes(stack: AsyncDisposableStack, notes: string[]): Promise<Map<string, Runtime>> {
  const runtimes = new Map<string, Runtime>()
  for (const name of [ownName, 'crun', 'runc']) {
    const installed = name === ownName ? undefined : findProgram(name)
    if (installed === undefined && name !== ownName) {
      notes.push(`${name}: not installed`)
      continue
    }
    const place = stack.use(await Place.open(name, { legacyCgroups: true }))
    const program = installed ?? ownRuntime(place)
    mkdirSync(place.path('rootfs'))
    place.run('tar', ['-xf', rootfsArchive(), '-C', place.path('rootfs')])
    place.run('sh', ['-c', `cd ${place.directory} && ${program} spec`])
    runtimes.set(name, { place, program })
  }
  return runtimes
}

/** As it is installed: the built file, a copy of its own, the launcher that seals Node, and an image to begin from. */
function ownRuntime(place: Place): string {
  const engine = join(import.meta.dirname, '../../dist/engine')
  for (const name of ['runtime.cjs', 'runtime-main.cjs', 'runtime-main.cache', 'node_modules'])
    cpSync(join(engine, name), place.path(name), { recursive: true })
  const first = [...forkingNode, place.path('runtime.cjs')]
  const image = place.path('runtime-main.image')
  const program = launcherProgram(process.arch, { program: process.execPath, first, image })
  if (program === undefined) throw new Error(`no launcher for ${process.arch} processors`)
  writeFileSync(place.path(ownName), program, { mode: 0o755 })
  if (hasImages(process.arch))
    place.run('env', ['-i', process.execPath, ...imageWords(place.path('runtime.cjs'), image)])
  return place.path(ownName)
}

function write({ place }: Runtime, args: readonly string[]): void {
  const spec = JSON.parse(readFileSync(place.path('config.json'), 'utf8'))
  spec.process = { ...spec.process, args, terminal: false }
  spec.linux = { ...spec.linux, cgroupsPath: `/${place.cgroup}/bench` }
  writeFileSync(place.path('config.json'), JSON.stringify(spec))
}

/** With the millisecond that entering the place costs. */
function call({ place, program }: Runtime, args: readonly string[]): number {
  const start = performance.now()
  place.runQuietly(program, ['--root', place.path('state'), ...args])
  return performance.now() - start
}

const repeat = (rounds: number, round: () => number): number[] => Array.from({ length: rounds }, round)

function run(runtime: Runtime, rounds: number): number[] {
  write(runtime, ['true'])
  return repeat(rounds, () => call(runtime, ['run', '--bundle', runtime.place.directory, 'bench']))
}

function exec(runtime: Runtime, rounds: number): number[] {
  write(runtime, ['sleep', '1000'])
  call(runtime, ['run', '--detach', '--bundle', runtime.place.directory, 'bench'])
  try {
    return repeat(rounds, () => call(runtime, ['exec', 'bench', 'true']))
  } finally {
    call(runtime, ['delete', '--force', 'bench'])
  }
}

/** Measures that a runtime can take part in. */
export const runtimeMeasures: Readonly<Record<string, typeof run>> = { 'run-none': run, exec }
