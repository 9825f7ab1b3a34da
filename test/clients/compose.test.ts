/** docker compose, unchanged: a project of five services from up to down. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { TestEngine } from '../engine/engine.ts'
import { dockerConfig, noCompose } from './client-bed.ts'

/** JSON is YAML. `store` has to be healthy, and `seed` to have ended, before what depends on them. */
const project = {
  name: 'five',
  services: {
    store: {
      image: 'host',
      command: 'python3 -m http.server 8000 --directory /data',
      volumes: ['data:/data'],
      networks: ['back'],
      healthcheck: { test: ['CMD-SHELL', 'test -f /data/seed'], interval: '200ms', retries: 50 },
      environment: { COLOUR: '$' + '{COLOUR:-red}' },
    },
    seed: {
      image: 'host',
      command: 'sh -c "echo planted > /data/seed"',
      volumes: ['data:/data'],
      network_mode: 'none',
    },
    web: {
      image: 'host',
      command: 'python3 -m http.server 8000 --directory /srv',
      volumes: ['./html:/srv:ro', 'cache:/var/cache/web'],
      ports: ['127.0.0.1::8000'],
      networks: { front: { aliases: ['www'] }, back: null },
      depends_on: { store: { condition: 'service_healthy' }, seed: { condition: 'service_completed_successfully' } },
      configs: [{ source: 'conf', target: '/etc/web.conf' }],
      secrets: ['word'],
    },
    worker: {
      image: 'host',
      command: 'sh -c "while :; do echo tick; sleep 1; done"',
      networks: ['back'],
      depends_on: ['store'],
      deploy: { resources: { limits: { memory: '64M', pids: 50 } } },
      restart: 'unless-stopped',
      init: true,
      stop_grace_period: '1s',
    },
    tool: {
      image: 'host',
      profiles: ['debug'],
      command: 'sleep 600',
      networks: ['back'],
      tmpfs: ['/scratch:size=1m'],
      ulimits: { nofile: { soft: 100, hard: 200 } },
      cap_drop: ['ALL'],
      read_only: true,
      extra_hosts: ['elsewhere:192.0.2.1'],
      sysctls: { 'net.core.somaxconn': '1024' },
      init: true,
    },
  },
  networks: { front: {}, back: { internal: true, labels: { side: 'back' } } },
  volumes: {
    data: { labels: { kept: 'yes' } },
    cache: { driver_opts: { type: 'tmpfs', device: 'tmpfs', o: 'size=1m' } },
  },
  configs: { conf: { content: 'configured\n' } },
  secrets: { word: { environment: 'WORD' } },
}

describe('docker compose', { skip: noCompose }, () => {
  let engine: TestEngine
  let directory: string
  before(async () => {
    engine = await TestEngine.start()
    directory = join(engine.directory, 'project')
    mkdirSync(join(directory, 'html'), { recursive: true })
    writeFileSync(join(directory, 'html/index.html'), 'a page\n')
    writeFileSync(join(directory, 'compose.yaml'), JSON.stringify(project))
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  const tried = (...args: string[]) =>
    engine.docker(['compose', '--project-directory', directory, ...args], '', {
      DOCKER_CONFIG: dockerConfig,
      WORD: 'sesame',
    })
  async function compose(...args: string[]): Promise<string> {
    const { code, out, error } = await tried(...args)
    assert.equal(code, 0, `docker compose ${args.join(' ')}: ${error}`)
    return out
  }
  const states = async (): Promise<Record<string, string>> =>
    Object.fromEntries(
      (await compose('ps', '-a', '--format', '{{.Service}} {{.State}} {{.Health}}'))
        .trim()
        .split('\n')
        .map((line) => line.trim().split(/ (.*)/s) as [string, string]),
    )

  test('up waits for what is depended on', async () => {
    await compose('up', '-d', '--wait-timeout', '60')
    const now = await states()
    assert.deepEqual({ ...now }, { store: 'running healthy', seed: 'exited', web: 'running', worker: 'running' })
    const address = (await compose('port', 'web', '8000')).trim()
    assert.equal(await (await fetch(`http://${address}/`)).text(), 'a page\n')
  })

  test('names, configurations, secrets, volumes as the file says', async () => {
    const inWeb = (...command: string[]) => compose('exec', '-T', 'web', ...command)
    assert.equal(await inWeb('cat', '/etc/web.conf', '/run/secrets/word'), 'configured\nsesame')
    assert.equal(await inWeb('stat', '-f', '-c', '%T', '/var/cache/web'), 'tmpfs\n')
    const page = 'import urllib.request as u; print(u.urlopen("http://store:8000/seed").read().decode(), end="")'
    assert.equal(await inWeb('python3', '-c', page), 'planted\n')
    assert.equal((await tried('exec', '-T', 'store', 'sh', '-c', 'exit 3')).code, 3)
    assert.equal(await compose('exec', '-T', 'store', 'sh', '-c', 'echo $COLOUR'), 'red\n')
  })

  test('scale, logs, profiles, one-off runs, pause, kill, cp, top', async () => {
    await compose('up', '-d', '--scale', 'worker=3')
    assert.equal((await compose('ps', '-q', 'worker')).trim().split('\n').length, 3)
    assert.match(await compose('logs', '--no-log-prefix', '--tail', '1', 'worker'), /tick/)
    await compose('--profile', 'debug', 'up', '-d', 'tool')
    const inTool =
      'ulimit -n; cat /proc/sys/net/core/somaxconn; grep elsewhere /etc/hosts; touch /x || touch /scratch/x'
    const told = await compose('--profile', 'debug', 'exec', '-T', 'tool', 'sh', '-c', inTool)
    assert.equal(told, '100\n1024\n192.0.2.1\telsewhere\n')
    assert.equal(
      await compose('run', '--rm', '-T', '-e', 'COLOUR=blue', '--no-deps', 'store', 'sh', '-c', 'echo $COLOUR'),
      'blue\n',
    )
    await compose('pause', 'worker')
    assert.equal((await states()).worker, 'paused')
    await compose('unpause', 'worker')
    await compose('cp', 'store:/data/seed', join(directory, 'seed'))
    assert.match(await compose('top', 'store'), /http\.server/)
    assert.match(await compose('images', '--format', 'json'), /"Repository":"host"/)
    assert.match(await compose('ls', '--format', 'json'), /"Name":"five"/)
    await compose('restart', '-t', '0', 'store')
    await compose('kill', 'worker')
  })

  test('a changed service is made anew, the others stay', async () => {
    const before = (await compose('ps', '-q', 'web')).trim()
    const worker = structuredClone(project) as typeof project
    worker.services.worker.command = 'sleep 600'
    writeFileSync(join(directory, 'compose.yaml'), JSON.stringify(worker))
    await compose('up', '-d', '-t', '0')
    assert.equal((await compose('ps', '-q', 'web')).trim(), before)
    assert.equal((await compose('ps', '-q', 'worker')).trim().split('\n').length, 1)
    assert.match(await compose('ps', '--no-trunc', '--format', '{{.Command}}', 'worker'), /sleep 600/)
  })

  test('down takes it all away, volumes where it is told to', async () => {
    await compose('--profile', 'debug', 'down', '-t', '0')
    const left = (path: string) => engine.call('GET', path).then((answer) => answer.text)
    assert.equal(await left('/containers/json?all=1'), '[]\n')
    assert.match(await left('/volumes'), /five_data/)
    await compose('down', '-v')
    assert.doesNotMatch(await left('/volumes'), /five_/)
    assert.doesNotMatch(await left('/networks'), /five_/)
  })
})
