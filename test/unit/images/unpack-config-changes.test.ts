import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { applyChanges } from '../../../engine/images/config-changes.ts'
import type { ImageRunConfig } from '../../../engine/images/image.ts'

const cases: readonly [change: string, expected: ImageRunConfig, before?: ImageRunConfig][] = [
  ['CMD ["a", "b c"]', { Cmd: ['a', 'b c'] }],
  ['cmd echo "hi"', { Cmd: ['/bin/sh', '-c', 'echo "hi"'] }],
  ['CMD [broken', { Cmd: ['/bin/sh', '-c', '[broken'] }],
  [
    'ENTRYPOINT run',
    { Shell: ['/bin/bash', '-c'], Entrypoint: ['/bin/bash', '-c', 'run'] },
    { Shell: ['/bin/bash', '-c'] },
  ],
  ['ENV A=1 B="two words" C=\\ x', { Env: ['A=1', 'B=two words', 'C= x'] }],
  ['ENV A the rest of it', { Env: ['A=the rest of it'] }],
  ['ENV A=new', { Env: ['A=new', 'B=2'] }, { Env: ['A=old', 'B=2'] }],
  [
    'EXPOSE 80 53/udp 8000-8002',
    { ExposedPorts: { '80/tcp': {}, '53/udp': {}, '8000/tcp': {}, '8001/tcp': {}, '8002/tcp': {} } },
  ],
  ['LABEL a="b c" d=e', { Labels: { a: 'b c', d: 'e' } }],
  ['USER 1000:1000', { User: '1000:1000' }],
  ['VOLUME /data /logs', { Volumes: { '/data': {}, '/logs': {} } }],
  ['VOLUME ["/with space"]', { Volumes: { '/with space': {} } }],
  ['WORKDIR /srv', { WorkingDir: '/srv' }],
  ['WORKDIR app', { WorkingDir: '/srv/app' }, { WorkingDir: '/srv' }],
  ['STOPSIGNAL SIGINT', { StopSignal: 'SIGINT' }],
  ['SHELL ["/bin/ash", "-c"]', { Shell: ['/bin/ash', '-c'] }],
  ['ONBUILD RUN make', { OnBuild: ['RUN make'] }],
  ['HEALTHCHECK NONE', { Healthcheck: { Test: ['NONE'] } }],
  [
    'HEALTHCHECK --interval=1m30s --retries=2 CMD curl -f x',
    { Healthcheck: { Test: ['CMD-SHELL', 'curl -f x'], Interval: 90e9, Retries: 2 } },
  ],
  ['HEALTHCHECK CMD ["true"]', { Healthcheck: { Test: ['CMD', 'true'] } }],
  ['', {}],
]

for (const [change, expected, before] of cases)
  test(`change: ${change}`, () => assert.deepEqual(applyChanges(before ?? {}, [change]), expected))

test('the given configuration is not changed', () => {
  const before: ImageRunConfig = { Env: ['A=1'], Labels: { a: 'b' } }
  applyChanges(before, ['ENV A=2', 'LABEL a=c'])
  assert.deepEqual(before, { Env: ['A=1'], Labels: { a: 'b' } })
})

for (const [change, words] of [
  ['RUN rm -rf /', /^RUN is not a valid change command$/],
  ['FROM scratch', /^FROM is not a valid change command$/],
  ['constructor x', /^CONSTRUCTOR is not a valid change command$/],
  ['!', /not a valid change command/],
  ['CMD', /^CMD requires at least one argument$/],
  ['ENV A', /^ENV must have two arguments$/],
  ['ENV A=1 B', /can't find = in "B"/],
  ['EXPOSE 70000', /^Invalid containerPort: 70000$/],
  ['EXPOSE 90-80', /Invalid containerPort/],
  ['SHELL /bin/sh', /JSON form/],
  ['HEALTHCHECK --interval=soon CMD x', /is not a duration/],
  ['HEALTHCHECK --nope=1 CMD x', /has no flag/],
  ['HEALTHCHECK x', /Unknown type "x"/],
] as const)
  test(`refused: ${change}`, () =>
    assert.throws(
      () => applyChanges({}, [change]),
      (error: unknown) => isKind(error, 'invalid') && words.test(error.message),
    ))
