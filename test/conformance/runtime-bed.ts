/** Runtimes with runc's command line, a bundle that each of them can run, and a place for their state. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, join, resolve } from 'node:path'
import esbuild from 'esbuild'
import { buildRuntime } from '../../.ci/build.mjs'
import { forkingNode, imageWords, launcherProgram } from '../../engine/kernel/launcher.ts'
import { hasImages } from '../../engine/kernel/process-image.ts'
import type { OciSpec } from '../../engine/spec/oci.ts'

const searchPath = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']

/** Undefined where it is not installed. */
export const findProgram = (name: string): string | undefined =>
  searchPath.map((directory) => join(directory, name)).find((path) => existsSync(path))

/**
 * Our own, built from the sources as it is shipped, with the launcher that an installed one has. Where root has made it,
 * with a Node that is there already, it begins from an image, as an installed one does.
 */
export async function buildOwnRuntime(directory: string, node = process.execPath): Promise<string> {
  await buildRuntime(esbuild, directory)
  symlinkSync(resolve(import.meta.dirname, '../../node_modules'), join(directory, 'node_modules'))
  const script = join(directory, 'runtime.cjs')
  const image = join(directory, 'runtime-main.image')
  const program = launcherProgram(process.arch, { program: node, first: [...forkingNode, script], image })
  const path = join(directory, 'drydock-runtime')
  writeFileSync(path, program!, { mode: 0o755 })
  if (process.geteuid?.() === 0 && hasImages(process.arch) && existsSync(node)) makeImage(directory, node)
  return path
}

export function makeImage(directory: string, node = process.execPath): void {
  const words = imageWords(join(directory, 'runtime.cjs'), join(directory, 'runtime-main.image'))
  execFileSync(node, words, { env: {}, stdio: ['ignore', 'ignore', 'inherit'], timeout: 60_000 })
}

export type Output = { status: number | null; stdout: string; stderr: string }

export class RuntimeBed implements Disposable {
  readonly directory: string
  readonly program: string
  readonly #group: string

  readonly #mounts = new DisposableStack()

  /** @param wrap makes the program that is called for it; the root of the bundle is there by then */
  constructor(program: string, wrap: (program: string, bed: RuntimeBed) => string = withoutUnified) {
    this.directory = mkdtempSync(join(tmpdir(), 'drydock-runtime-'))
    this.#group = `/drydock-conformance-${process.pid}`
    this.#makeRoot()
    this.program = wrap(program, this)
    this.run(['spec', '--bundle', this.bundle])
  }

  get bundle(): string {
    return join(this.directory, 'bundle')
  }

  #makeRoot(): void {
    const rootfs = join(this.bundle, 'rootfs')
    for (const name of ['etc', 'usr', 'proc', 'sys', 'dev', 'tmp', 'root'])
      mkdirSync(join(rootfs, name), { recursive: true })
    for (const name of ['bin', 'lib', 'lib64', 'sbin']) symlinkSync(`usr/${name}`, join(rootfs, name))
    for (const name of ['passwd', 'group', 'ld.so.cache']) copyFileSync(`/etc/${name}`, join(rootfs, 'etc', name))
  }

  /** Everybody may pass, and write in the root. */
  open(): void {
    chmodSync(this.directory, 0o755)
    for (const name of ['', '..', 'root', 'tmp']) chmodSync(join(this.bundle, 'rootfs', name), 0o777)
  }

  /** A mount on the machine, of a file system that has no flags itself; gone with the bed. */
  hostMount(flags: string): string {
    const path = join(this.directory, 'mounted')
    mkdirSync(path)
    const mount = (...words: string[]): void => {
      const { status, stderr } = spawnSync('mount', [...words, path], { encoding: 'utf8' })
      if (status !== 0) throw new Error(stderr)
    }
    mount('-t', 'tmpfs', 'tmpfs')
    this.#mounts.defer(() => spawnSync('umount', ['-l', path]))
    mount('--make-private')
    mount('-o', `remount,bind,${flags}`)
    return path
  }

  /** Writes the config of `runtime spec`, with another command and what else is to be changed. */
  configure(args: readonly string[], change: (spec: OciSpec) => void = () => undefined): void {
    const path = join(this.bundle, 'config.json')
    const spec = JSON.parse(readFileSync(path, 'utf8')) as OciSpec
    spec.process = { ...spec.process!, args: [...args], terminal: false }
    spec.root = { path: 'rootfs' }
    spec.mounts = spec.mounts!.filter(({ destination }) => destination !== '/usr')
    spec.mounts.push({ destination: '/usr', type: 'bind', source: '/usr', options: ['rbind', 'ro'] })
    spec.linux = { ...spec.linux, cgroupsPath: `${this.#group}/c` }
    change(spec)
    writeFileSync(path, JSON.stringify(spec))
  }

  get global(): string[] {
    return ['--root', join(this.directory, 'state')]
  }

  run(words: readonly string[], options: { input?: string; stdio?: 'ignore' } = {}): Output {
    const { status, stdout, stderr } = spawnSync(this.program, [...this.global, ...words], {
      encoding: 'utf8',
      timeout: 60_000,
      killSignal: 'SIGKILL',
      cwd: this.directory,
      ...(options.stdio === undefined ? { input: options.input ?? '' } : { stdio: options.stdio }),
    })
    return { status, stdout: stdout ?? '', stderr: stderr ?? '' }
  }

  /** In the background, for what is to be interrupted. */
  spawn(
    words: readonly string[],
    { env = {}, output = 'pipe' }: { env?: Record<string, string>; output?: 'pipe' | 'ignore' } = {},
  ): ReturnType<typeof spawn> {
    return spawn(this.program, [...this.global, ...words], {
      cwd: this.directory,
      stdio: ['ignore', output, output],
      env: { ...process.env, ...env },
    })
  }

  /** `create` and `run --detach` hand their own streams on, so they must not be pipes that somebody waits for. */
  create(id: string, ...options: string[]): Output {
    return this.run(['create', '--bundle', this.bundle, ...options, id], { stdio: 'ignore' })
  }

  detach(id: string, ...options: string[]): Output {
    return this.run(['run', '--detach', '--bundle', this.bundle, ...options, id], { stdio: 'ignore' })
  }

  state(id: string): Record<string, unknown> {
    const { status, stdout, stderr } = this.run(['state', id])
    if (status !== 0) throw new Error(stderr)
    return JSON.parse(stdout)
  }

  async until(id: string, status: string): Promise<void> {
    for (let round = 0; this.state(id).status !== status; round += 1) {
      if (round === 200) throw new Error(`${id} is ${this.state(id).status}, not ${status}`)
      await new Promise((done) => setTimeout(done, 25))
    }
  }

  [Symbol.dispose](): void {
    for (const id of this.run(['list', '-q']).stdout.split('\n').filter(Boolean)) this.run(['delete', '--force', id])
    this.#mounts.dispose()
    for (const controller of ['', 'unified', 'systemd', ...controllers()])
      spawnSync('rmdir', [join('/sys/fs/cgroup', controller, this.#group)])
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** crun wants no hierarchy of version 2 beside those of version 1; that is hidden from it only. */
export function withoutUnified(program: string, { directory }: RuntimeBed): string {
  if (basename(program) !== 'crun' || !existsSync(`${unified}/cgroup.procs`)) return program
  return shellProgram(
    join(directory, 'crun'),
    `exec unshare --mount sh -c 'umount -l ${unified} && exec "$0" "$@"' ${program} "$@"`,
  )
}

export const unified = '/sys/fs/cgroup/unified'

export function shellProgram(path: string, text: string): string {
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  return path
}

const controllers = (): string[] =>
  readFileSync('/proc/cgroups', 'utf8')
    .split('\n')
    .map((line) => line.split('\t')[0]!)
    .filter((name) => /^\w/.test(name))

/** Why a runtime cannot be asked here. */
export function reasonAgainst(name: string): string | false {
  if (name === 'drydock-runtime') return false
  return findProgram(name) === undefined && `${name} is not installed`
}

/** Why a process cannot begin from an image here; capabilities(7), PR_SET_MM(2const). */
export function reasonAgainstImages(): string | false {
  if (!hasImages(process.arch)) return `there are no images for ${process.arch}`
  // Both come with CONFIG_CHECKPOINT_RESTORE.
  if (!existsSync('/proc/sys/kernel/ns_last_pid')) return 'the kernel has no PR_SET_MM_MAP'
  const effective = /^CapEff:\s+(\S+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'
  const [sysAdmin, checkpointRestore] = [1n << 21n, 1n << 40n]
  return (BigInt(`0x${effective}`) & (sysAdmin | checkpointRestore)) === 0n && 'needs CAP_CHECKPOINT_RESTORE'
}
