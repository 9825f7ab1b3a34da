import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chainId, chainIds, type Digest, parseDigest, sha256 } from '../../../engine/images/digest.ts'

test('sha256 of nothing, of text and of bytes', () => {
  // FIPS 180-4 example values.
  assert.equal(sha256(''), 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  assert.equal(sha256('abc'), 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  assert.equal(sha256(Buffer.from('abc')), sha256('abc'))
})

test('chain ids follow the recursion of the image specification', () => {
  const [a, b, c] = [sha256('a'), sha256('b'), sha256('c')]
  const ab = sha256(`${a} ${b}`)
  assert.deepEqual(chainIds([a, b, c]), [a, ab, sha256(`${ab} ${c}`)])
  assert.equal(chainId([a]), a)
  assert.equal(chainId([]), undefined)
})

test('only whole lower-case sha256 digests pass', () => {
  const good = `sha256:${'0f'.repeat(32)}`
  assert.equal(parseDigest(good), good as Digest)
  for (const bad of [
    '',
    'sha256:',
    `sha256:${'0F'.repeat(32)}`,
    `${good}0`,
    `${good}\n`,
    '../../etc/passwd',
    7,
    null,
    undefined,
  ])
    assert.throws(() => parseDigest(bad), { kind: 'invalid', message: /is not a sha256 digest$/ })
  assert.throws(() => parseDigest(`sha512:${'a'.repeat(128)}`), { message: /only sha256 digests are supported$/ })
})
