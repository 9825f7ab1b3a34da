import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasProcess, isRunning, nextState, transitions } from '../../../engine/lifecycle/state-table.ts'

test('a container that runs cannot be started or removed, one that does not cannot be paused', () => {
  for (const state of ['running', 'paused'] as const) {
    assert.equal(nextState(state, 'start'), undefined)
    assert.equal(nextState(state, 'remove'), undefined)
  }
  for (const state of ['created', 'exited', 'restarting', 'dead', 'removing', 'paused'] as const)
    assert.equal(nextState(state, 'pause'), undefined)
})

test('every state but the last ones leads somewhere, and only to states that exist', () => {
  for (const [state, events] of Object.entries(transitions)) {
    assert.ok(Object.keys(events).length > 0, state)
    for (const next of Object.values(events)) assert.ok(next in transitions, `${state} to ${next}`)
  }
})

test('a restarting container counts as running, without a process', () => {
  assert.deepEqual([isRunning('restarting'), hasProcess('restarting')], [true, false])
  assert.deepEqual([isRunning('paused'), hasProcess('paused')], [true, true])
  assert.deepEqual([isRunning('exited'), hasProcess('created')], [false, false])
})
