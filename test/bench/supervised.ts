/** What is below the API, alone: spawner, shim and runtime, from a bundle on the disk to a container that has gone. */
import { makeBundle } from '../kernel/bundle.ts'
import { ShimBed } from '../kernel/shim-bed.ts'

export const supervisedName = 'drydock-shim'

/** Milliseconds of each run of `true`, from the request for a shim to the shim's end. */
export async function superviseRuns(rounds: number): Promise<number[]> {
  const bed = await ShimBed.start()
  const times: number[] = []
  try {
    for (let round = 0; round < rounds; round += 1) {
      using bundle = makeBundle(['true'])
      const start = performance.now()
      const shim = await bed.supervisors.launch(bundle.directory)
      await shim.create()
      await shim.start()
      const { exitCode } = await shim.exited
      await shim.release()
      times.push(performance.now() - start)
      if (exitCode !== 0) throw new Error(`true ended with ${exitCode}`)
    }
  } finally {
    await bed.close()
  }
  return times
}
