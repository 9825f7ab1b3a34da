/** Services as images, and the programs that put them under load; .ci/services.mjs makes them for `npm test`. */
import { existsSync } from 'node:fs'
import { delimiter } from 'node:path'
import { loadersRoot, serviceArchive } from '../../.ci/services.mjs'
import { type Ended, noEngine, type TestEngine } from '../engine/engine.ts'
import { dockerConfig, noCompose } from './client-bed.ts'

export const noServices: string | false =
  noEngine ||
  noCompose ||
  (existsSync(loadersRoot) ? false : (process.env.DRYDOCK_NO_SERVICES ?? 'needs services that npm test sets up'))

/** What happens when the program fails: its output with the error, as one failure. */
function checked(words: readonly string[], { code, out, error }: Ended): string {
  if (code !== 0) throw new Error(`${words.join(' ')}: exit code ${code}: ${out}${error}`)
  return out
}

/** docker ARGS, also compose, which has to succeed; without the newline at the end. */
export async function docker(engine: TestEngine, ...args: string[]): Promise<string> {
  return checked(['docker', ...args], await engine.docker(args, '', { DOCKER_CONFIG: dockerConfig })).trimEnd()
}

export async function loadServices(engine: TestEngine): Promise<void> {
  for (const name of ['nginx', 'postgres', 'redis'])
    await docker(engine, 'load', '--quiet', '--input', serviceArchive(name))
}

const path = ['/usr/lib/postgresql/17/bin', '/usr/bin', '/usr/sbin', '/sbin', process.env.PATH].join(delimiter)

/** A program of the machine beside the engine, as it is installed nowhere: it sees its own root and the machine's network. */
export async function load(
  engine: TestEngine,
  words: readonly string[],
  more: Record<string, string> = {},
): Promise<string> {
  return checked(words, await engine.client('chroot', [loadersRoot, ...words], { more: { PATH: path, ...more } }))
}

/** Asks until the answer is the one wanted; fails with the last one after half a minute. */
export async function becomes(ask: () => Promise<string>, wanted: string): Promise<void> {
  let answer = ''
  for (const end = Date.now() + 30_000; Date.now() < end; await new Promise((again) => setTimeout(again, 100))) {
    answer = await ask()
    if (answer === wanted) return
  }
  throw new Error(`is ${JSON.stringify(answer)}, and was to become ${JSON.stringify(wanted)}`)
}
