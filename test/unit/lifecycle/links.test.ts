import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linkAliases } from '../../../engine/lifecycle/dns-names.ts'
import { parseLink, renamedLinks } from '../../../engine/lifecycle/links.ts'
import { mergeLines } from '../../../engine/lifecycle/network-files.ts'

test('links: a name, a name and an alias, nothing else', () => {
  assert.deepEqual(parseLink('db'), { name: 'db', alias: 'db' })
  assert.deepEqual(parseLink('/db:/store'), { name: 'db', alias: 'store' })
  for (const bad of ['', ':', 'db:', 'a:b:c']) assert.throws(() => parseLink(bad), /bad format for links/, bad)
  assert.deepEqual(linkAliases(['db', '/cache:fast']), { db: 'db', fast: 'cache' })
  assert.deepEqual(renamedLinks(['db:store', 'cache:fast'], 'db', 'ledger'), ['ledger:store', 'cache:fast'])
})

test('of a file that others write in, too, only our own lines come and go', () => {
  const before = 'a\nb\n'
  assert.equal(mergeLines('a\nb\nmine\n', before, 'a\nc\n'), 'a\nmine\nc\n')
  assert.equal(mergeLines('mine', before, before), 'mine\n', 'what somebody took out stays out')
  assert.equal(mergeLines('', '', 'a\n'), 'a\n')
})
