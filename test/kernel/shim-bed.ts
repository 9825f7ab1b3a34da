/** Runs bundles through spawner and shim, and gives what came out. */
import { readFileSync, rmdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import type { Shim, Supervisors } from '../../engine/shim/shim.ts'
import { startSupervisors } from '../../engine/shim/spawner-client.ts'
import { type BundleOptions, makeBundle, type TestBundle } from './bundle.ts'

const program = resolve(import.meta.dirname, '../../engine/shim/spawner.ts')

export const startSpawner = (): Promise<Supervisors> => startSupervisors({ program, node: process.execPath })

export const collect = async (stream: AsyncIterable<Buffer>): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(stream))

/** Takes the frames of wire fact 18 apart. */
export function unframe(bytes: Buffer): { stdout: string; stderr: string } {
  const parts: Record<number, Buffer[]> = { 1: [], 2: [] }
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4)
    parts[bytes[at]!]!.push(bytes.subarray(at + 8, at + 8 + length))
    at += 8 + length
  }
  return { stdout: Buffer.concat(parts[1]!).toString(), stderr: Buffer.concat(parts[2]!).toString() }
}

export const script = (text: string): string[] => ['sh', '-c', text]

export type RunResult = { stdout: string; stderr: string; exitCode: number; log: string; warnings: string }

export class ShimBed {
  supervisors!: Supervisors
  readonly #shims: Shim[] = []
  readonly #groups: string[] = []

  static async start(): Promise<ShimBed> {
    const bed = new ShimBed()
    bed.supervisors = await startSpawner()
    return bed
  }

  /** A shim that a failed test left is let go, or its connection would keep this process. */
  async close(): Promise<void> {
    for (const shim of this.#shims) {
      await shim.killAll().catch(() => undefined)
      await shim.release().catch(() => undefined)
    }
    await this.supervisors.close()
    const host = detectCgroups()
    for (const path of this.#groups) host.group(path).remove()
    const { directories, birthplace } = host.group('/drydock-test')
    for (const directory of new Set([...Object.values(directories), birthplace ?? []].flat())) {
      try {
        rmdirSync(directory)
      } catch {
        // Others' tests have groups there as well.
      }
    }
  }

  async launch(args: readonly string[], options: BundleOptions = {}): Promise<{ bundle: TestBundle; shim: Shim }> {
    const bundle = makeBundle(args, options)
    const shim = await this.supervisors.launch(bundle.directory)
    this.#shims.push(shim)
    this.#groups.push(bundle.cgroup)
    return { bundle, shim }
  }

  async run(args: readonly string[], options: BundleOptions = {}): Promise<RunResult> {
    const { bundle, shim } = await this.launch(args, options)
    using _bundle = bundle
    await shim.create()
    const output = collect(await shim.attach({ stdin: false, stdout: true, stderr: true }))
    await shim.start()
    const { exitCode } = await shim.exited
    const bytes = await output
    await shim.release()
    const streams = options.terminal === true ? { stdout: bytes.toString(), stderr: '' } : unframe(bytes)
    return { ...streams, exitCode, log: readFileSync(bundle.logPath, 'utf8'), warnings: warningsOf(bundle) }
  }
}

export function warningsOf({ directory }: TestBundle): string {
  try {
    return readFileSync(`${directory}/warnings.txt`, 'utf8')
  } catch {
    return ''
  }
}
