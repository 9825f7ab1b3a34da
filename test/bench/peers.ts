/** The engines that are compared: ours as it is shipped, and those that this machine has. */
import { accessSync, constants, cpSync, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { leanEnvironment, leanNode } from '../../engine/cli/setup-service.ts'
import { ApiPeer } from './api-peer.ts'
import { Place, searchPath } from './place.ts'
import { rootfsArchive } from './rootfs.ts'

export type Peers = Map<string, ApiPeer>

const bundle = join(import.meta.dirname, '../../dist/engine')

export function findProgram(name: string): string | undefined {
  const paths = searchPath.split(delimiter).map((directory) => join(directory, name))
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** A copy, so that a build in the middle of it all changes nothing. */
async function drydock(): Promise<ApiPeer> {
  const place = await Place.open('drydock')
  cpSync(bundle, place.path('engine'), { recursive: true, filter: (path) => !path.endsWith('.map') })
  const main = place.path('engine/main.js')
  const roots = ['--root', place.path('root'), '--exec-root', place.path('run')]
  const profile = process.env.DRYDOCK_BENCH_NODE_OPTIONS?.split(' ') ?? []
  return new ApiPeer({
    place,
    image: 'host',
    daemon: [
      'env',
      ...Object.entries(leanEnvironment).map(([name, value]) => `${name}=${value}`),
      process.execPath,
      ...leanNode,
      ...profile,
      main,
      'daemon',
      ...roots,
      '--socket',
      place.path('docker.sock'),
    ],
    hostConfig: { CgroupParent: `/${place.cgroup}` },
    erase: () => void place.run(process.execPath, [main, 'setup', 'erase', ...roots]),
  })
}

async function dockerd(program: string): Promise<ApiPeer> {
  const place = await Place.open('dockerd')
  const roots = ['--data-root', place.path('root'), '--exec-root', place.path('run'), '--pidfile', place.path('pid')]
  const more = ['--cgroup-parent', `/${place.cgroup}`, '--userland-proxy=false', '--live-restore', '--log-level=warn']
  return new ApiPeer({
    place,
    image: 'bench',
    daemon: [program, ...roots, ...more, '--host', `unix://${place.path('docker.sock')}`],
    hostConfig: {},
  })
}

async function podman(program: string): Promise<ApiPeer> {
  const place = await Place.open('podman', { legacyCgroups: true })
  const roots = ['--root', place.path('root'), '--runroot', place.path('run'), '--tmpdir', place.path('tmp')]
  const more = [
    '--cgroup-manager=cgroupfs',
    '--events-backend=file',
    ...(findProgram('crun') ? ['--runtime=crun'] : []),
  ]
  const service = ['system', 'service', '--time=0', `unix://${place.path('docker.sock')}`]
  return new ApiPeer({
    place,
    image: 'docker.io/library/bench',
    plainPull: '&tlsVerify=false',
    daemon: [program, ...roots, ...more, ...service],
    // Its own default is above what a process may have that can't raise its hard limits.
    hostConfig: {
      CgroupParent: `/${place.cgroup}`,
      Ulimits: ['nofile', 'nproc'].map((Name) => ({ Name, Soft: 1024, Hard: 1024 })),
    },
    // The store mounts itself in this namespace.
    erase: () => void place.run('sh', ['-c', `umount -l ${place.path('root/overlay')} || true`]),
  })
}

const others = { dockerd, podman }

/** Those that run here, ours first. `notes` gets the reason for each of the others. */
export async function startPeers(stack: AsyncDisposableStack, notes: string[]): Promise<Peers> {
  if (!existsSync(join(bundle, 'main.js'))) throw new Error('dist/engine/main.js is missing: npm run build')
  const peers: Peers = new Map()
  const ours = stack.use(await drydock())
  await ours.begin()
  peers.set('drydock', ours)
  for (const [name, open] of Object.entries(others)) {
    const program = findProgram(name)
    if (program === undefined) {
      notes.push(`${name}: not installed`)
      continue
    }
    const peer = stack.use(await open(program))
    try {
      await peer.begin()
      await (await peer.open('POST', '/v1.41/images/create?fromSrc=-&repo=bench&tag=latest', rootfsArchive())).toArray()
      peers.set(name, peer)
    } catch (error) {
      notes.push(`${name}: does not run here: ${(error as Error).message}`)
    }
  }
  return peers
}
