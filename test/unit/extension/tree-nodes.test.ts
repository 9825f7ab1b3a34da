import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { ContainerSummary } from '../../../engine/api/contract/docker.ts'
import type { ImageSummary, Info, Network, Volume } from '../../../engine/api/contract/docker-store.ts'
import type { PrunePreview } from '../../../engine/api/contract/drydock.ts'
import { pruneDetail, pruneRequest, pruneSummary } from '../../../extension/commands/prune-text.ts'
import { asShellText, setupWords } from '../../../extension/engine-life/setup-command.ts'
import { stateOf } from '../../../extension/engine-life/state.ts'
import { containerNodes } from '../../../extension/views/container-nodes.ts'
import { imageNodes, storageNodes } from '../../../extension/views/store-nodes.ts'
import { cgroupsNode, engineNode, namespacesNode } from '../../../extension/views/system-nodes.ts'
import { topicsOf } from '../../../extension/views/topics.ts'

const container = (fields: Partial<ContainerSummary>): ContainerSummary => ({
  Id: 'c'.repeat(64),
  Names: ['/web'],
  Image: 'nginx',
  ImageID: 'sha256:1',
  Command: 'nginx',
  Created: 0,
  Ports: [],
  Labels: {},
  State: 'running',
  Status: 'Up 2 minutes',
  HostConfig: { NetworkMode: 'bridge' },
  NetworkSettings: { Networks: {} },
  Mounts: [],
  ...fields,
})

test('a container keeps its id in the tree whatever happens to it, and says its state in words', () => {
  const running = containerNodes([container({})])[0]
  const exited = containerNodes([container({ State: 'exited', Status: 'Exited (1)' })])[0]
  assert.equal(running?.id, exited?.id)
  assert.equal(running?.spoken, 'container web, running, image nginx')
  assert.equal(exited?.spoken, 'container web, exited, image nginx')
  assert.deepEqual([running?.context, exited?.context], ['container:running', 'container:exited'])
  assert.deepEqual([running?.description, exited?.description], ['nginx', 'nginx · exited (1)'])
  const checked = containerNodes([container({ Status: 'Up 2 minutes (unhealthy)' })])[0]
  assert.equal(checked?.description, 'nginx · unhealthy')
  assert.equal(checked?.spoken, 'container web, running, unhealthy, image nginx')
  assert.deepEqual([checked?.id, checked?.icon], [running?.id, 'warning'])
  assert.notEqual(running?.icon, exited?.icon)
})

test('a click on a row is never lost: its command is not switched off while the window asks whether it is trusted', () => {
  const manifest = new URL('../../../package.json', import.meta.url)
  const { contributes } = JSON.parse(readFileSync(manifest, 'utf8')) as {
    contributes: { commands: { command: string; enablement?: string }[] }
  }
  const [row] = containerNodes([container({})])
  const run = contributes.commands.find(({ command }) => command === row?.command?.id)
  assert.ok(run)
  assert.equal(run.enablement, undefined)
})

test('a published port is told once, although IPv4 and IPv6 have one each', () => {
  const port = { PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }
  const node = containerNodes([
    container({
      Ports: [
        { ...port, IP: '0.0.0.0' },
        { ...port, IP: '::' },
        { PrivatePort: 9, Type: 'tcp' },
      ],
    }),
  ])[0]
  assert.equal(node?.context, 'container:running:ports')
  assert.match(node?.spoken ?? '', /, port 8080$/)
  assert.equal(node?.description, 'nginx · :8080')
})

test('running ones stand first, then names; compose projects together', () => {
  const project = { 'com.docker.compose.project': 'shop' }
  const nodes = containerNodes([
    container({ Id: '1', Names: ['/zoo'], State: 'exited' }),
    container({ Id: '2', Names: ['/b'] }),
    container({ Id: '3', Names: ['/a'] }),
    container({ Id: '4', Names: ['/shop-web'], Labels: project }),
    container({ Id: '5', Names: ['/shop-db'], Labels: project, State: 'exited' }),
  ])
  assert.deepEqual(
    nodes.map((node) => node.label),
    ['shop', 'a', 'b', 'zoo'],
  )
  assert.deepEqual(
    nodes[0]?.children?.map((node) => node.label),
    ['shop-web', 'shop-db'],
  )
  assert.equal(nodes[0]?.spoken, 'compose project shop, 1 of 2 running')
})

test('an image has a node for each tag, one without tags goes by its id', () => {
  const image = (fields: Partial<ImageSummary>): ImageSummary => ({
    Id: `sha256:${'a'.repeat(64)}`,
    ParentId: '',
    RepoTags: [],
    RepoDigests: [],
    Created: 1000,
    Size: 1_500_000,
    SharedSize: -1,
    Containers: 2,
    Labels: null,
    ...fields,
  })
  const nodes = imageNodes([image({ RepoTags: ['b:1', 'a:1'] }), image({ Id: `sha256:${'0'.repeat(64)}` })], 4_600_000)
  assert.deepEqual(
    nodes.map((node) => node.label),
    ['000000000000', 'a:1', 'b:1'],
  )
  assert.equal(nodes[1]?.description, '1.5 MB · 1 hour old')
  assert.equal(nodes[1]?.spoken, 'image a:1, 1.5 MB, used by 2 containers')
  assert.equal(new Set(nodes.map((node) => node.id)).size, 3)
})

test("the engine's own networks can't be removed", () => {
  const network = (Name: string): Network =>
    ({
      Name,
      Id: Name,
      Driver: 'bridge',
      IPAM: { Driver: '', Options: null, Config: [{ Subnet: '10.0.0.0/24' }] },
    }) as Network
  const volume = { Name: 'f'.repeat(64), Mountpoint: '/v', UsageData: { Size: 10, RefCount: 0 } } as Volume
  const [volumes, networks] = storageNodes([volume], [network('own'), network('bridge')])
  assert.deepEqual(
    networks?.children?.map((node) => node.context),
    ['network:builtin', 'network:own'],
  )
  assert.deepEqual(
    volumes?.children?.map((node) => [node.label, node.description]),
    [['ffffffffffff', '10 B']],
  )
})

test('the system view tells warnings first, who is in a namespace, and use against limits', () => {
  const info = { ServerVersion: '1', Warnings: ['No swap limit support'], SecurityOptions: null } as unknown as Info
  assert.equal(engineNode(info, '/s').children?.[0]?.spoken, 'warning: No swap limit support')
  const member = { Pid: 7, Command: 'sleep 1', ContainerId: 'x', ContainerName: 'web' }
  const tree = namespacesNode([
    { Type: 'net', Id: 2, Host: false, Members: [member, { ...member, Pid: 8, ContainerName: 'db' }] },
    { Type: 'net', Id: 1, Host: true, Members: [{ ...member, ContainerId: null, ContainerName: null }] },
  ])
  const [host, shared] = tree.children?.[0]?.children ?? []
  assert.equal(host?.description, 'this machine · 1 process')
  assert.equal(shared?.description, 'web, db · 2 processes')
  assert.equal(shared?.children?.[0]?.spoken, 'process 7, sleep 1, container web')
  const group = {
    ContainerId: null,
    ContainerName: null,
    Processes: [],
    MemoryUsage: null,
    MemoryLimit: null,
    CpuLimit: null,
    PidsLimit: null,
    Children: [],
  }
  const child = {
    ...group,
    Path: '/drydock/x',
    ContainerId: 'x',
    ContainerName: 'web',
    Processes: [7],
    MemoryUsage: 1000,
    MemoryLimit: 2000,
    CpuLimit: 1.5,
    PidsLimit: 10,
  }
  const cgroups = cgroupsNode({
    Version: 2,
    Controllers: ['cpu', 'memory'],
    Root: { ...group, Path: '/drydock', Children: [child] },
  })
  const limited = cgroups.children?.[0]?.children?.[0]
  assert.deepEqual([limited?.label, limited?.description], ['web', '1000 B of 1.95 KiB · 1.5 CPU · 1 of 10 processes'])
})

test('events refresh only what they touch', () => {
  assert.deepEqual(topicsOf({ Type: 'container', Action: 'die' }), ['containers', 'system'])
  for (const Action of ['exec_start: sh -c x', 'exec_die', 'attach', 'resize', 'top'])
    assert.deepEqual(topicsOf({ Type: 'container', Action }), [])
  assert.deepEqual(topicsOf({ Type: 'image', Action: 'pull' }), ['images'])
  assert.deepEqual(topicsOf({ Type: 'network', Action: 'connect' }), ['storage'])
})

test("the engine's state follows from what is known", () => {
  const facts = { platform: 'linux', trusted: true, installed: true, starting: false, failure: null } as const
  assert.equal(stateOf(facts), 'running')
  assert.equal(stateOf({ ...facts, platform: 'win32' }), 'unsupported')
  assert.equal(stateOf({ ...facts, trusted: false }), 'untrusted')
  assert.equal(stateOf({ ...facts, failure: 'ECONNREFUSED' }), 'stopped')
  assert.equal(stateOf({ ...facts, failure: 'ENOENT', installed: false }), 'not-set-up')
  assert.equal(stateOf({ ...facts, failure: 'EACCES' }), 'denied')
  assert.equal(stateOf({ ...facts, failure: 'ENOENT', starting: true }), 'starting')
})

test('the set-up asks for rights only where they are missing, and never through quoting', () => {
  const facts = {
    node: '/n o/node',
    engine: '/e/main.js',
    socketPath: '/run/s',
    uid: 1000,
    elevators: ['/usr/bin/sudo'],
  }
  const words = ['/n o/node', '/e/main.js', 'setup', 'install', '--user', '1000', '--socket', '/run/s']
  assert.deepEqual(setupWords('install', facts), ['/usr/bin/sudo', ...words])
  assert.deepEqual(setupWords('stop', { ...facts, uid: 0 }), ['/n o/node', '/e/main.js', 'setup', 'stop'])
  assert.equal(setupWords('start', { ...facts, elevators: [] }), null)
  assert.equal(asShellText(["a b'c", '/x']), "'a b'\\''c' /x")
})

test('a prune says what goes before it goes', () => {
  const preview: PrunePreview = {
    Containers: [{ Id: '1', Name: '/old', Bytes: 1000 }],
    Images: [],
    Volumes: Array.from({ length: 10 }, (_, index) => ({ Name: `v${index}`, Bytes: 0 })),
    Networks: [],
    Bytes: 1000,
  }
  assert.equal(pruneSummary(preview), '1 container and 10 volumes, 1 kB')
  assert.equal(pruneSummary({ ...preview, Containers: [], Volumes: [], Bytes: 0 }), 'nothing, 0 B')
  assert.match(pruneDetail(preview), /^Containers: old \(1 kB\)\nVolumes: v0 .*, and 2 more$/)
  assert.deepEqual(pruneRequest(['AllImages', 'Networks']), { AllImages: true, Images: true, Networks: true })
})
