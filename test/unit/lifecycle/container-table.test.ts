import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Database } from '../../../engine/base/database.ts'
import { isKind } from '../../../engine/base/errors.ts'
import { never } from '../../../engine/base/time.ts'
import type { Container } from '../../../engine/lifecycle/container.ts'
import { ContainerTable, containerSchema } from '../../../engine/lifecycle/container-table.ts'

const container = (id: string, name: string, created = '2026-01-01T00:00:00Z'): Container => ({
  id,
  name,
  created,
  imageId: 'sha256:0',
  config: { Image: 'x' },
  hostConfig: {},
  networks: {},
  endpoints: [],
  mounts: [],
  path: 'true',
  args: [],
  logPath: '',
  run: {
    state: 'created',
    pid: 0,
    exitCode: 0,
    error: '',
    oomKilled: false,
    startedAt: never,
    finishedAt: never,
    restartCount: 0,
    manuallyStopped: false,
  },
  hostnamePath: '',
  hostsPath: '',
  resolvConfPath: '',
})
const [one, two] = ['aa11'.repeat(16), 'aa22'.repeat(16)]

test('looked up by id, name, and the start of an id', () => {
  using database = new Database(':memory:', [containerSchema])
  const table = new ContainerTable(database)
  table.insert(container(one, 'web'))
  table.insert(container(two, 'aa1', '2026-01-02T00:00:00Z'))
  assert.equal(table.get(one).id, one)
  assert.equal(table.get('/web').id, one)
  assert.equal(table.get('aa1').id, two, 'a name wins over the start of an id')
  assert.equal(table.get('aa11').id, one)
  assert.throws(
    () => table.get('aa'),
    (error) => isKind(error, 'invalid') && error.message === 'multiple IDs found with provided prefix: aa',
  )
  assert.throws(
    () => table.get('zz'),
    (error) => isKind(error, 'not-found') && error.message === 'No such container: zz',
  )
  assert.throws(
    () => table.get(''),
    (error) => isKind(error, 'invalid'),
  )
  assert.deepEqual(
    table.list().map(({ id }) => id),
    [two, one],
  )
})

test('a name is taken by a container, by one that is being made, and free after it', () => {
  using database = new Database(':memory:', [containerSchema])
  const table = new ContainerTable(database)
  {
    using _web = table.reserve('web', one)
    assert.throws(
      () => table.reserve('web', two),
      (error) =>
        isKind(error, 'conflict') && error.message.startsWith('Conflict. The container name "/web" is already'),
    )
  }
  {
    using _web = table.reserve('web', two)
    table.insert(container(two, 'web'))
  }
  assert.throws(() => table.reserve('web', one))
  table.insert(container(one, 'api'))
  assert.throws(
    () => table.update(one, { name: 'web' }),
    (error) => isKind(error, 'conflict'),
  )
  table.update(two, { name: 'www' })
  table.update(one, { name: 'web' })
  table.delete(one)
  assert.equal(table.nameTaken('web'), false)
})

test('everything is there again for the next daemon', () => {
  const directory = mkdtempSync(join(tmpdir(), 'containers-'))
  try {
    const path = join(directory, 'db')
    {
      using database = new Database(path, [containerSchema])
      const table = new ContainerTable(database)
      table.insert(container(one, 'web'))
      table.update(one, { hostConfig: { Memory: 5 }, run: { state: 'running', pid: 7 } })
      table.insert(container(two, 'gone'))
      table.delete(two)
    }
    using database = new Database(path, [containerSchema])
    const [found, ...others] = new ContainerTable(database).list()
    assert.equal(others.length, 0)
    assert.deepEqual(found, {
      ...container(one, 'web'),
      hostConfig: { Memory: 5 },
      run: { ...container(one, 'web').run, state: 'running', pid: 7 },
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a container that was handed out does not change', () => {
  using database = new Database(':memory:', [containerSchema])
  const table = new ContainerTable(database)
  table.insert(container(one, 'web'))
  const before = table.get('web')
  table.update(one, { run: { state: 'running' } })
  assert.equal(before.run.state, 'created')
})
