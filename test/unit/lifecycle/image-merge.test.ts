import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { commandOf, mergeImage } from '../../../engine/lifecycle/image-merge.ts'

const image = {
  Entrypoint: ['/entry'],
  Cmd: ['serve', '-p'],
  Env: ['PATH=/bin', 'A=image'],
  User: 'node',
  WorkingDir: '/app',
  ExposedPorts: { '80/tcp': {} },
  Volumes: { '/data': {} },
  Labels: { a: '1', b: '1' },
  StopSignal: 'SIGQUIT',
  Healthcheck: { Test: ['CMD', 'true'], Interval: 5e9, Retries: 3 },
}
const command = (own: object): string[] => {
  const { path, args } = commandOf(mergeImage(image, { Image: 'x', ...own }))
  return [path, ...args]
}

test('entrypoint and command', () => {
  assert.deepEqual(command({}), ['/entry', 'serve', '-p'])
  assert.deepEqual(command({ Cmd: ['x'] }), ['/entry', 'x'])
  assert.deepEqual(command({ Entrypoint: ['sh'] }), ['sh'])
  assert.deepEqual(command({ Entrypoint: ['sh'], Cmd: ['-c', 'y'] }), ['sh', '-c', 'y'])
  assert.deepEqual(command({ Entrypoint: [''], Cmd: ['z'] }), ['z'])
  assert.deepEqual(command({ Entrypoint: [] }), ['serve', '-p'])
})

test('no command at all is refused', () => {
  for (const own of [{ Entrypoint: [''] }, { Entrypoint: [''], Cmd: [] }])
    assert.throws(
      () => command(own),
      (error) => isKind(error, 'invalid') && error.message === 'no command specified',
    )
  assert.throws(() => commandOf(mergeImage({}, { Image: 'x' })), /no command specified/)
})

test('the rest: the user wins, lists and maps are joined', () => {
  const merged = mergeImage(image, {
    Image: 'x',
    Env: ['A=own', 'B=2'],
    User: 'root',
    ExposedPorts: { '90/udp': {} },
    Volumes: { '/logs': {} },
    Labels: { b: '2' },
    Healthcheck: { Interval: 1e9, Test: [], Timeout: 0 },
  })
  assert.deepEqual(merged.Env, ['PATH=/bin', 'A=own', 'B=2'])
  assert.equal(merged.User, 'root')
  assert.equal(merged.WorkingDir, '/app')
  assert.deepEqual(Object.keys(merged.ExposedPorts ?? {}), ['80/tcp', '90/udp'])
  assert.deepEqual(Object.keys(merged.Volumes ?? {}), ['/data', '/logs'])
  assert.deepEqual(merged.Labels, { a: '1', b: '2' })
  assert.equal(merged.StopSignal, 'SIGQUIT')
  assert.deepEqual(merged.Healthcheck, { Test: ['CMD', 'true'], Interval: 1e9, Retries: 3 })
})
