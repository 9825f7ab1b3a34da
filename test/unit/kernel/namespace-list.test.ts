import assert from 'node:assert/strict'
import { readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { listNamespaces, namespaceTypes } from '../../../engine/kernel/namespace-list.ts'

test('the own process is in one namespace of each kind, and that is the host one', () => {
  const all = listNamespaces()
  for (const type of namespaceTypes) {
    const mine = all.filter(({ Type, Members }) => Type === type && Members.some(({ Pid }) => Pid === process.pid))
    assert.equal(mine.length, 1, type)
    assert.equal(mine[0]?.Host, true)
    assert.equal(`${type}:[${mine[0]?.Id}]`, readlinkSync(`/proc/self/ns/${type}`))
    assert.match(mine[0]?.Members.find(({ Pid }) => Pid === process.pid)?.Command ?? '', /node/)
    assert.equal(all.filter(({ Type, Host }) => Type === type && Host).length, 1)
  }
  assert.equal(new Set(all.map(({ Type, Id }) => `${Type}${Id}`)).size, all.length)
})
