import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseImageConfig } from '../../../engine/images/image-config.ts'

const diffId = `sha256:${'a'.repeat(64)}`
const parse = (more: object) =>
  parseImageConfig(
    Buffer.from(
      JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [diffId] }, ...more }),
    ),
  )

test('nulls, as Go writes them, mean absent', () => {
  const config = parse({
    variant: null,
    config: { Cmd: null, Env: ['A=b'], Volumes: { '/data': null }, Labels: null, Healthcheck: null, User: '' },
    history: null,
  })
  assert.deepEqual(config, {
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [diffId] },
    config: { Env: ['A=b'], Volumes: { '/data': {} }, User: '' },
  })
  assert.deepEqual(parse({ rootfs: { type: 'layers', diff_ids: null } }).rootfs.diff_ids, [])
})

test('everything a run needs comes through', () => {
  const config = {
    User: '1000:1000',
    ExposedPorts: { '80/tcp': {} },
    Env: ['PATH=/bin'],
    Entrypoint: ['/entry'],
    Cmd: ['a', 'b'],
    Volumes: { '/data': {} },
    WorkingDir: '/work',
    Labels: { a: 'b' },
    StopSignal: 'SIGINT',
    StopTimeout: 3,
    Shell: ['/bin/sh'],
    Healthcheck: { Test: ['CMD', 'true'], Interval: 1_000_000_000, Retries: 3 },
    OnBuild: ['RUN x'],
  }
  assert.deepEqual(parse({ config }).config, config)
})

const refused: [string, object, RegExp][] = [
  ['a layer id that is a path', { rootfs: { type: 'layers', diff_ids: ['../x'] } }, /rootfs\.diff_ids\.0/],
  ['another kind of root', { rootfs: { type: 'other', diff_ids: [] } }, /rootfs\.type/],
  ['no system', { os: '' }, /: os:/],
  ['a command that is text', { config: { Cmd: 'sh' } }, /config\.Cmd/],
  ['a label that is a number', { config: { Labels: { a: 1 } } }, /config\.Labels\.a/],
]

for (const [what, more, message] of refused)
  test(`${what} is refused`, () => {
    assert.throws(() => parse(more), { kind: 'invalid', message })
  })

test('a prototype cannot be reached through a label', () => {
  const bytes = Buffer.from(
    `{"architecture":"a","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{"Labels":{"__proto__":"x"}}}`,
  )
  assert.equal(Object.getPrototypeOf(parseImageConfig(bytes).config!.Labels), Object.prototype)
  assert.equal(({} as Record<string, unknown>).x, undefined)
})
