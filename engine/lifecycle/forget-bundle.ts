/** What is left of a process that has ended: supervisor, control group, bundle. */
import { rm } from 'node:fs/promises'
import { messageOf } from '../base/errors.ts'
import type { Shim } from '../shim/shim.ts'
import type { Container } from './container.ts'
import { bundleDirectory, cgroupPath, type Engine } from './engine.ts'

/** Safe to repeat. Precondition: the exit is recorded, as the bundle is the other place that knows it. */
export async function forgetBundle(engine: Engine, container: Container, shim: Shim | undefined): Promise<void> {
  const { id } = container
  engine.stopping.delete(id)
  await attempt(engine, `releasing the supervisor of ${id}`, () => shim?.release())
  if (shim === undefined)
    await attempt(engine, `removing the control group of ${id}`, () => endGroup(engine, container))
  await attempt(engine, `removing the bundle of ${id}`, () =>
    rm(bundleDirectory(engine, id), { recursive: true, force: true }),
  )
}

/** What a supervisor does that ends in order; for one that did not. */
function endGroup(engine: Engine, container: Container): void {
  const group = engine.cgroups.group(cgroupPath(engine, container))
  group.kill(2000)
  group.remove()
}

/** A clean-up that nobody waits for must not stop those after it. */
export async function attempt(engine: Engine, what: string, work: () => Promise<unknown> | unknown): Promise<void> {
  try {
    await work()
  } catch (error) {
    engine.report(`${what}: ${messageOf(error)}`)
  }
}
