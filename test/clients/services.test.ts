/** nginx, PostgreSQL and Redis out of Debian's packages, run as anyone runs them, with their own programs for load. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { TestEngine } from '../engine/engine.ts'
import { becomes, docker, load, loadServices, noServices } from './service-bed.ts'

const password = { PGPASSWORD: 'sesame' }

const often = { interval: '200ms', timeout: '5s', retries: 100 }
/** JSON is YAML. */
const stack = {
  name: 'stack',
  services: {
    web: {
      image: 'nginx',
      ports: ['127.0.0.1::80'],
      depends_on: { db: { condition: 'service_healthy' }, cache: { condition: 'service_healthy' } },
      healthcheck: { ...often, test: ['CMD', 'wget', '-q', '-O', '/dev/null', 'http://127.0.0.1/'] },
    },
    db: {
      image: 'postgres',
      volumes: ['data:/var/lib/postgresql/data'],
      environment: { POSTGRES_PASSWORD: 'sesame' },
      healthcheck: { ...often, test: ['CMD', 'pg_isready', '--quiet', '--host', '127.0.0.1'] },
    },
    cache: { image: 'redis', healthcheck: { ...often, test: ['CMD-SHELL', 'redis-cli ping | grep PONG'] } },
  },
  volumes: { data: {} },
}

describe('real services', { skip: noServices }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.start()
    await loadServices(engine)
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  const port = async (name: string, inside: number): Promise<string> =>
    (await docker(engine, 'port', name, `${inside}/tcp`)).split(':').at(-1) ?? ''
  const health = (name: string) => docker(engine, 'inspect', '--format', '{{.State.Health.Status}}', name)
  const logs = async (name: string): Promise<string> => {
    const { out, error } = await engine.docker(['logs', name])
    return out + error
  }

  test('nginx: a page out of a folder, load through the published port, each request in the log, a graceful end', async () => {
    const pages = join(engine.directory, 'pages')
    mkdirSync(pages)
    writeFileSync(join(pages, 'index.html'), 'a page\n')
    await docker(engine, 'run', '-d', '--name', 'web', '-p', '127.0.0.1::80', '-v', `${pages}:/srv:ro`, 'nginx')
    const address = `http://127.0.0.1:${await port('web', 80)}/`
    const page = async () => (await fetch(address, { headers: { connection: 'close' } })).text()
    await becomes(() => page().catch(() => ''), 'a page\n')
    const told = await load(engine, ['wrk', '--threads', '1', '--connections', '8', '--duration', '1s', address])
    assert.doesNotMatch(told, /Socket errors|Non-2xx/)
    const requests = Number(/(\d+) requests in/.exec(told)?.[1])
    assert.ok(requests > 100, told)
    await docker(engine, 'stop', 'web')
    assert.equal(await docker(engine, 'inspect', '--format', '{{.State.ExitCode}}', 'web'), '0')
    const lines = (await logs('web')).split('\n')
    // wrk leaves those that it has asked and not heard of.
    const logged = lines.filter((line) => /"GET \/ HTTP\/1.1" 200 7 /.test(line)).length
    assert.ok(logged > requests && logged <= requests + 1 + 8, `${logged} lines for ${requests} requests`)
    assert.ok(
      lines.some((line) => line.includes('gracefully shutting down')),
      lines.slice(-5).join('\n'),
    )
    await docker(engine, 'rm', 'web')
  })

  const postgres = async (name: string): Promise<string> => {
    const check = ['--health-cmd', 'pg_isready --quiet --host 127.0.0.1', '--health-interval', '200ms']
    const words = ['-p', '127.0.0.1::5432', '-v', 'accounts:/var/lib/postgresql/data', '-e', 'POSTGRES_PASSWORD=sesame']
    await docker(engine, 'run', '-d', '--name', name, ...check, ...words, 'postgres')
    await becomes(() => health(name), 'healthy')
    return await port(name, 5432)
  }
  const bench = (at: string, ...more: string[]) =>
    load(engine, ['pgbench', '-h', '127.0.0.1', '-p', at, '-U', 'postgres', ...more, 'postgres'], password)
  const sql = async (at: string, query: string): Promise<string> =>
    (await load(engine, ['psql', '-h', '127.0.0.1', '-p', at, '-U', 'postgres', '-Atc', query], password)).trimEnd()
  const sums =
    'select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history), count(*) from pgbench_history'

  test('PostgreSQL: pgbench through the published port, a clean end, its data in a volume for the next container', async () => {
    const first = await postgres('db1')
    await bench(first, '--initialize', '--quiet')
    assert.match(await bench(first, '--client', '4', '--transactions', '50'), /actually processed: 200\/200/)
    assert.equal(await sql(first, sums), 't|200')
    await docker(engine, 'stop', 'db1')
    assert.equal(await docker(engine, 'inspect', '--format', '{{.State.ExitCode}}', 'db1'), '0')
    assert.match(await logs('db1'), /LOG: {2}database system is shut down\n$/)
    await docker(engine, 'rm', 'db1')
    const second = await postgres('db2')
    const said = await logs('db2')
    assert.match(said, /database system was shut down at/)
    assert.doesNotMatch(said, /recovery/)
    assert.equal(await sql(second, sums), 't|200')
    await bench(second, '--client', '4', '--transactions', '25', '--no-vacuum')
    await docker(engine, 'kill', 'db2')
    await docker(engine, 'rm', 'db2')
    const third = await postgres('db3')
    assert.match(await logs('db3'), /automatic recovery in progress/)
    assert.equal(await sql(third, sums), 't|300')
    await docker(engine, 'rm', '-f', 'db3')
    await docker(engine, 'volume', 'rm', 'accounts')
  })

  test('Redis: redis-benchmark through the published port, what was set outlives the container', async () => {
    const redis = async (name: string): Promise<(...words: string[]) => Promise<string>> => {
      await docker(engine, 'run', '-d', '--name', name, '-p', '127.0.0.1::6379', '-v', 'cache:/data', 'redis')
      const at = await port(name, 6379)
      const ask = async (...words: string[]): Promise<string> =>
        (await load(engine, ['redis-cli', '-e', '-p', at, ...words]).catch(String)).trimEnd()
      await becomes(() => ask('ping'), 'PONG')
      return ask
    }
    const ask = await redis('cache1')
    const words = ['--csv', '-t', 'set,get,lpush', '-n', '2000', '-c', '16', '-P', '4']
    const told = await load(engine, ['redis-benchmark', '-p', await port('cache1', 6379), ...words])
    assert.match(told, /"SET","\d+.*\n"GET","\d+.*\n"LPUSH","\d+/)
    assert.equal(await ask('llen', 'mylist'), '2000')
    assert.equal(await ask('set', 'colour', 'red'), 'OK')
    await docker(engine, 'stop', 'cache1')
    assert.match(await logs('cache1'), /Redis is now ready to exit, bye bye/)
    await docker(engine, 'rm', 'cache1')
    const again = await redis('cache2')
    assert.deepEqual([await again('get', 'colour'), await again('llen', 'mylist')], ['red', '2000'])
    await docker(engine, 'rm', '-f', 'cache2')
    await docker(engine, 'volume', 'rm', 'cache')
  })

  test('compose: the three of them, each waits until the one before is healthy, and knows it by its name', async () => {
    const directory = join(engine.directory, 'stack')
    mkdirSync(directory)
    writeFileSync(join(directory, 'compose.yaml'), JSON.stringify(stack))
    const compose = (...words: string[]) =>
      docker(engine, 'compose', '--project-directory', directory, '--progress', 'quiet', ...words)
    await compose('up', '-d', '--wait', '--wait-timeout', '60')
    const states = await compose('ps', '--format', '{{.Service}} {{.Health}}')
    assert.deepEqual(states.split('\n').sort(), ['cache healthy', 'db healthy', 'web healthy'])
    const inWeb = (command: string) => compose('exec', '-T', 'web', 'sh', '-c', command)
    assert.match(await inWeb('echo PING | nc -w 1 cache 6379'), /^\+PONG/)
    assert.equal(await inWeb('nc -w 5 db 5432 </dev/null && echo listens'), 'listens')
    const address = await compose('port', 'web', '80')
    assert.equal(await (await fetch(`http://${address}/`, { headers: { connection: 'close' } })).text(), 'it works\n')
    await compose('down', '--volumes')
    assert.equal(await docker(engine, 'ps', '-aq'), '')
    assert.equal(await docker(engine, 'volume', 'ls', '-q'), '')
  })
})
