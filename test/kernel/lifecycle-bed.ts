/** The lifecycle over the real layers, in directories of its own; everything is taken down again by `close`. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Database } from '../../engine/base/database.ts'
import { detectCgroups } from '../../engine/cgroup/detect.ts'
import { ContentStore } from '../../engine/images/content-store.ts'
import { refreshHostImage } from '../../engine/images/host-image.ts'
import type { Images } from '../../engine/images/image.ts'
import { ImageStore } from '../../engine/images/image-store.ts'
import { imageSchema } from '../../engine/images/image-table.ts'
import { ContainerService } from '../../engine/lifecycle/container-service.ts'
import { containerSchema } from '../../engine/lifecycle/container-table.ts'
import type { CreateContainer } from '../../engine/lifecycle/containers.ts'
import { EventJournal } from '../../engine/lifecycle/events.ts'
import { ContainerNetworks } from '../../engine/network/container-networks.ts'
import { networkSchema } from '../../engine/network/network-schema.ts'
import type { Supervisors } from '../../engine/shim/shim.ts'
import { startSupervisors } from '../../engine/shim/spawner-client.ts'
import { OverlaySnapshotter, snapshotSchema } from '../../engine/snapshots/overlay-snapshotter.ts'
import { LocalVolumes, volumeSchema } from '../../engine/volumes/local-volumes.ts'

export const needsRoot = process.getuid?.() !== 0 && 'needs root'

export const cgroupParent = `/drydock-test-${process.pid}`

export class Bed {
  readonly base = mkdtempSync('/var/tmp/drydock-lifecycle-')
  readonly root = join(this.base, 'root')
  readonly execRoot = join(this.base, 'run')
  readonly problems: string[] = []
  events = new EventJournal()
  containers!: ContainerService
  volumes!: LocalVolumes
  networks!: ContainerNetworks
  snapshotter!: OverlaySnapshotter
  database!: Database
  supervisors!: Supervisors

  /** A daemon's start; again after `crash`. */
  async open(): Promise<void> {
    mkdirSync(this.root, { recursive: true })
    mkdirSync(this.execRoot, { recursive: true })
    const schemas = [snapshotSchema, imageSchema, networkSchema, volumeSchema, containerSchema]
    this.database = new Database(join(this.root, 'drydock.db'), schemas)
    this.snapshotter = new OverlaySnapshotter(this.database, this.root)
    await this.snapshotter.recover()
    const images = new ImageStore({
      database: this.database,
      content: new ContentStore(join(this.root, 'blobs')),
      snapshotter: this.snapshotter,
      usedBy: () => [],
    })
    await refreshHostImage(images.depot, { machine: '/', store: this.root })
    this.networks = new ContainerNetworks({
      database: this.database,
      execRoot: this.execRoot,
      instance: `t${process.pid}`,
    })
    this.volumes = new LocalVolumes(this.database, this.root)
    this.supervisors = await startSupervisors({
      program: resolve(import.meta.dirname, '../../engine/shim/spawner.ts'),
      node: process.execPath,
    })
    this.events = new EventJournal()
    this.containers = new ContainerService({
      database: this.database,
      images: images as unknown as Images,
      snapshotter: this.snapshotter,
      networks: this.networks,
      volumes: this.volumes,
      supervisors: this.supervisors,
      cgroups: detectCgroups(),
      cgroupParent,
      events: this.events,
      root: this.root,
      execRoot: this.execRoot,
      report: (problem) => this.problems.push(problem),
    })
    await this.networks.recover(await this.containers.liveContainers())
    await this.containers.recover()
  }

  /** The daemon is gone without a word; containers live on. */
  async crash(): Promise<void> {
    this.containers.close()
    await this.supervisors.close()
    await this.networks.close()
    this.database[Symbol.dispose]()
  }

  async close(): Promise<void> {
    try {
      for (const { id } of this.containers.list()) await this.containers.remove(id, { force: true, volumes: true })
    } finally {
      // Or the failure would never be told: with a spawner the process does not end.
      this.containers.close()
      await this.supervisors.close()
    }
    await this.networks.destroy()
    await this.snapshotter.settled()
    this.database[Symbol.dispose]()
    detectCgroups().group(cgroupParent).remove()
    rmSync(this.base, { recursive: true, force: true })
  }

  async create(command: string[], more: Partial<CreateContainer> = {}): Promise<string> {
    const { id } = await this.containers.create({
      endpoints: {},
      ...more,
      config: { Image: 'host', Cmd: command, ...more.config },
      hostConfig: { NetworkMode: 'none', CgroupParent: cgroupParent, ...more.hostConfig },
    })
    return id
  }

  /** Runs to the end: exit code and output. */
  async run(
    script: string,
    more: Partial<CreateContainer> = {},
  ): Promise<{ code: number; out: string; err: string; id: string }> {
    const id = await this.create(['sh', '-c', script], more)
    const stream = await this.containers.attach(id, {
      stdin: false,
      stdout: true,
      stderr: true,
      logs: false,
      stream: true,
    })
    const output = collect(stream)
    const { result } = this.containers.wait(id, 'next-exit')
    await this.containers.start(id)
    const { statusCode } = await result
    return { code: statusCode, id, ...unframe(await output) }
  }
}

export const collect = async (stream: AsyncIterable<Buffer>): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(stream))

/** Takes the frames of wire fact 18 apart. */
export function unframe(bytes: Buffer): { out: string; err: string } {
  const parts: [Buffer[], Buffer[]] = [[], []]
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4)
    parts[bytes[at] === 2 ? 1 : 0].push(bytes.subarray(at + 8, at + 8 + length))
    at += 8 + length
  }
  return { out: Buffer.concat(parts[0]).toString(), err: Buffer.concat(parts[1]).toString() }
}
