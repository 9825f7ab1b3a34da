/** testcontainers, unchanged: its usual ways of starting, waiting, copying and stopping. Its reaper can't be pulled here. */
import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { TestEngine } from '../engine/engine.ts'
import { load, noPackages } from './client-bed.ts'

// biome-ignore lint/suspicious/noExplicitAny: a client is called as its users call it, without our types
type Any = any

describe('testcontainers', { skip: noPackages }, () => {
  let engine: TestEngine
  let library: Any
  before(async () => {
    engine = await TestEngine.start()
    process.env.DOCKER_HOST = `unix://${engine.socket}`
    process.env.TESTCONTAINERS_RYUK_DISABLED = 'true'
    process.env.TESTCONTAINERS_HOST_OVERRIDE = '127.0.0.1'
    library = load('testcontainers')
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  const container = (...command: string[]): Any => new library.GenericContainer('host:latest').withCommand(command)
  const server = ['python3', '-m', 'http.server', '8000', '--directory', '/srv']

  test('a server on a network, with files, reached through its mapped port', async () => {
    const network = await new library.Network().start()
    const started = await container(...server)
      .withNetwork(network)
      .withNetworkAliases('web')
      .withExposedPorts(8000)
      .withEnvironment({ COLOUR: 'red' })
      .withCopyContentToContainer([{ content: 'a page', target: '/srv/page' }])
      .withTmpFs({ '/scratch': 'size=1m' })
      .withUlimits({ nofile: { soft: 100, hard: 100 } })
      .withLabels({ a: 'b' })
      .withWaitStrategy(library.Wait.forHttp('/page', 8000))
      .start()
    const page = (): Promise<string> =>
      fetch(`http://${started.getHost()}:${started.getMappedPort(8000)}/page`).then((answer) => answer.text())
    assert.equal(await page(), 'a page')
    const ask = 'import urllib.request as u; print(u.urlopen("http://web:8000/page").read().decode())'
    const client = await container('python3', '-c', ask)
      .withNetwork(network)
      .withWaitStrategy(library.Wait.forOneShotStartup())
      .start()
    assert.equal(await text(await client.logs()), 'a page\n')
    const ran = await started.exec(['sh', '-c', 'echo $COLOUR; ulimit -n; echo oh >&2; exit 3'])
    assert.deepEqual([ran.exitCode, ran.stdout, ran.stderr], [3, 'red\n100\n', 'oh\n'])
    await started.copyContentToContainer([{ content: 'later', target: '/srv/later' }])
    assert.match(await text(await started.copyArchiveFromContainer('/srv/later')), /later/)
    await started.restart({ timeout: 0 })
    assert.match(await started.commit({ repo: 'committed', deleteOnExit: false }), /^sha256:/)
    await client.stop()
    await started.stop({ timeout: 0 })
    await network.stop()
  })

  test('waits: log line, health check, a command that succeeds, ports', async () => {
    const { Wait } = library
    const check = { test: ['CMD-SHELL', 'test -f /tmp/ready'], interval: 100, timeout: 1000, retries: 100 }
    const started = await container('sh', '-c', 'echo begun; sleep 0.3; touch /tmp/ready; exec sleep 600')
      .withHealthCheck(check)
      .withWaitStrategy(
        Wait.forAll([
          Wait.forLogMessage('begun'),
          Wait.forHealthCheck(),
          Wait.forSuccessfulCommand('test -f /tmp/ready'),
        ]),
      )
      .start()
    await started.stop({ timeout: 0 })
    const listening = await container(...server)
      .withExposedPorts(8000)
      .withStartupTimeout(30_000)
      .start()
    await listening.stop({ timeout: 0 })
    await assert.rejects(
      container('sh', '-c', 'exit 1').withWaitStrategy(Wait.forLogMessage('never')).withStartupTimeout(2000).start(),
      /never/,
    )
  })

  test('nothing is left of it', async () => {
    assert.deepEqual((await engine.call('GET', '/containers/json?all=1')).json(), [])
  })
})
