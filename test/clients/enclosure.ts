/**
 * Where a foreign engine runs without the machine noticing: mounts, processes and /run of its own, which end with it; and an
 * image that the test makes, since there is no network.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { pack } from 'tar-stream'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import { rootfsArchive } from '../bench/rootfs.ts'

export const madeImage = 'docker.io/library/made:1'

/** sh, sleep and little else; as `docker save` writes it. */
export async function writeImage(path: string): Promise<void> {
  const layer = readFileSync(rootfsArchive())
  const hash = createHash('sha256').update(layer).digest('hex')
  const config = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Env: ['PATH=/usr/bin:/bin'], Cmd: ['true'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${hash}`] },
    history: [],
  }
  const archive = pack()
  archive.entry({ name: 'layer.tar' }, layer)
  archive.entry({ name: 'config.json' }, JSON.stringify(config))
  const manifest = [{ Config: 'config.json', RepoTags: [madeImage], Layers: ['layer.tar'] }]
  archive.entry({ name: 'manifest.json' }, JSON.stringify(manifest))
  archive.finalize()
  await pipeline(archive, createWriteStream(path))
}

/**
 * The control groups in a tree that is private but for the hierarchies themselves: podman makes directories for controllers
 * that are nowhere mounted.
 */
const ownGroupTree = `
if [ "$(stat -fc %T /sys/fs/cgroup)" = tmpfs ]; then
  mkdir /run/groups && mount -t tmpfs groups /run/groups
  while read -r _ point type _; do
    case $type in cgroup|cgroup2) mkdir "/run/groups/\${point##*/}" && mount --bind "$point" "/run/groups/\${point##*/}";; esac
  done </proc/self/mounts
  mount --rbind /run/groups /sys/fs/cgroup
fi`

export type Ended = { status: number | null; out: string; error: string }

export class Enclosure implements AsyncDisposable {
  readonly directory: string
  /** What its control groups are to be below. */
  readonly group: string
  #holder: ChildProcess | undefined
  #first = 0

  constructor(name: string) {
    this.directory = mkdtempSync(join(tmpdir(), `drydock-${name}-`))
    this.group = `/drydock-${name}-${process.pid}`
  }

  /** @param script of sh: ends by executing what stays; from then on the file `ready` is there. */
  async begin(script: string, ready: string): Promise<void> {
    const options = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
    const log = createWriteStream(join(this.directory, 'log'))
    await once(log, 'open')
    const words = [...options, 'sh', '-c', `mount -t tmpfs run /run\n${ownGroupTree}\n${script}`]
    this.#holder = spawn('unshare', words, { stdio: ['ignore', log, log] })
    for (let round = 0; !existsSync(ready); round += 1) {
      if (round === 400 || this.#holder.exitCode !== null)
        throw new Error(`${script} does not get ready: ${readFileSync(join(this.directory, 'log'), 'utf8')}`)
      await sleep(50)
    }
    const { pid } = this.#holder
    this.#first = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim())
  }

  run(program: string, ...words: string[]): Ended {
    const enter = ['--target', String(this.#first), '--mount', '--pid', program]
    const { status, stdout, stderr } = spawnSync('nsenter', [...enter, ...words], { encoding: 'utf8', timeout: 60_000 })
    return { status, out: stdout, error: stderr }
  }

  /** A file as it is inside. */
  read(path: string): string {
    return readFileSync(`/proc/${this.#first}/root${path}`, 'utf8')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const holder = this.#holder
    if (holder !== undefined && holder.exitCode === null && holder.signalCode === null) {
      const ended = once(holder, 'exit')
      holder.kill('SIGKILL')
      await ended
    }
    detectCgroups().group(this.group).remove()
    rmSync(this.directory, { recursive: true, force: true })
  }
}
