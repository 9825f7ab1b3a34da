/** The processes of a container, as ps(1) would show them; wire fact 169. Reads /proc itself: the machine may have no ps. */
import { EngineError } from '../base/errors.ts'
import { announce, cgroupPath, type Engine } from './engine.ts'
import { readProcess } from './proc.ts'
import { columnsOf } from './ps-columns.ts'
import { hasProcess } from './state-table.ts'

export function top(
  engine: Engine,
  reference: string,
  psArguments: string,
): { Titles: string[]; Processes: string[][] } {
  const container = engine.table.get(reference)
  if (!hasProcess(container.run.state)) throw new EngineError('conflict', `container ${container.id} is not running`)
  announce(engine, container, 'top')
  const columns = columnsOf(psArguments || '-ef')
  const pids = engine.cgroups.group(cgroupPath(engine, container)).processes()
  // One that ends while it is read has nothing to show.
  const processes = pids.sort((a, b) => a - b).flatMap((pid) => readProcess(pid) ?? [])
  return {
    Titles: columns.map(({ title }) => title),
    Processes: processes.map((process) => columns.map(({ show }) => show(process))),
  }
}
