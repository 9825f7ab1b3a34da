import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKind } from '../../../engine/base/errors.ts'
import { apparmorProfile } from '../../../engine/lifecycle/apparmor.ts'

const withOption = (value: string) => ({ SecurityOpt: [`apparmor=${value}`] })

test('where AppArmor is on: the default if it is loaded, what is named, none for the privileged', () => {
  const loaded = new Set(['docker-default', 'mine'])
  assert.equal(apparmorProfile({}, loaded), 'docker-default')
  assert.equal(apparmorProfile({}, new Set(['docker-default', 'drydock-default'])), 'drydock-default')
  assert.equal(apparmorProfile({}, new Set(['mine'])), undefined)
  assert.equal(apparmorProfile(withOption('mine'), loaded), 'mine')
  assert.equal(apparmorProfile({ ...withOption('mine'), Privileged: true }, loaded), 'mine')
  assert.equal(apparmorProfile({ Privileged: true }, loaded), 'unconfined')
  assert.equal(apparmorProfile(withOption('unconfined'), loaded), 'unconfined')
  assert.throws(
    () => apparmorProfile(withOption('other'), loaded),
    (error) => isKind(error, 'invalid') && /apparmor=other: no profile of that name/.test(error.message),
  )
})

test('where it is off: nothing, and a named profile is refused', () => {
  for (const host of [{}, { Privileged: true }, withOption('unconfined')])
    assert.equal(apparmorProfile(host, undefined), undefined)
  assert.throws(() => apparmorProfile(withOption('docker-default'), undefined), /AppArmor is not enabled/)
})
