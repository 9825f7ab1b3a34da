/**
 * The verbs, done some times with a container of their own before the command line is kept as an image: what V8 has
 * compiled, and which types it has seen, is part of that.
 */
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { detectCgroups } from '../../cgroup/detect.ts'
import { executableFile } from '../../kernel/init-program.ts'
import { reap } from '../../kernel/process.ffi.ts'
import { defaults } from '../../spec/defaults.ts'
import { rehearse } from '../rehearsal.ts'

/** Far from enough for V8 to optimize for this one container. */
const rounds = 5

/** exit(0), and pause(2) for ever; x86-64. */
const programs = {
  end: Buffer.from([0xb8, 0x3c, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]),
  stay: Buffer.from([0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]),
} as const

function makeBundle(directory: string, program: keyof typeof programs, cgroupsPath: string): void {
  const root = join(directory, 'rootfs')
  mkdirSync(root, { recursive: true })
  for (const [name, code] of Object.entries(programs))
    writeFileSync(join(root, name), executableFile('x64', code), { mode: 0o755 })
  const spec = defaults()
  const config = {
    ...spec,
    process: { ...spec.process!, args: [`/${program}`] },
    linux: { ...spec.linux, cgroupsPath },
  }
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config))
}

type Serve = (words: readonly string[]) => Promise<number>

/** Every call throws where a verb fails: what did not work here would not work in an image of it, either. */
export class Rehearsal implements Disposable {
  readonly #serve: Serve
  readonly #place: string
  readonly #id: string

  private constructor(place: string, serve: Serve) {
    this.#place = place
    this.#serve = serve
    this.#id = `drydock-image-${statSync(dirname(place)).ino}`
  }

  /** @param place a directory of its own. What one that was killed has left there goes first. */
  static async begin(place: string, serve: Serve): Promise<Rehearsal> {
    const rehearsal = new Rehearsal(place, serve)
    if (existsSync(place)) {
      await rehearsal.#call('delete', '--force', rehearsal.#id)
      rehearsal[Symbol.dispose]()
    }
    mkdirSync(place, { mode: 0o700 })
    for (const name of ['end', 'stay'] as const) makeBundle(join(place, name), name, `/${rehearsal.#id}`)
    return rehearsal
  }

  async #call(...words: string[]): Promise<void> {
    const code = await this.#serve(['--root', join(this.#place, 'state'), ...words])
    if (code !== 0) throw new Error(`rehearsing ${words[0]} ended with ${code}`)
  }

  run(): Promise<void> {
    return this.#call('run', '--bundle', join(this.#place, 'end'), this.#id)
  }

  async everything(): Promise<void> {
    rehearse(detectCgroups())
    for (let round = 0; round < rounds; round += 1) {
      await this.run()
      await this.#kept()
    }
  }

  async #kept(): Promise<void> {
    const id = this.#id
    await this.#call('create', '--bundle', join(this.#place, 'stay'), id)
    try {
      await this.#call('state', id)
      await this.#call('start', id)
      await this.#call('exec', id, '/end')
      await this.#call('kill', id, 'KILL')
    } finally {
      await this.#call('delete', '--force', id)
      while (reap() !== undefined);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#place, { recursive: true, force: true })
  }
}
