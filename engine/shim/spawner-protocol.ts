/** What the daemon and its spawner say to each other: the frames of protocol.ts. Number 0 is the spawner's greeting. */
import type { Failure } from './failure.ts'
import { encodeFrame } from './protocol.ts'

export type SpawnRequest = { number: number; directory: string }

/** Of the daemon. */
export type SpawnerOrder =
  | SpawnRequest
  /** There is to be a spare shim; the last container was this directory's. */
  | { prepare: string }
  /** It has a copy of the socket that the spawner has under this number, or wants none; or can have none. */
  | { handed: number; possible: boolean }

export type SpawnAnswer =
  | { number: number; pid: number }
  | { number: number; error: Failure }
  | { number: 0; proven: boolean }
  /** The number under which the spawner has the socket of a spare shim, until that is handed over. */
  | { spare: number }

export const encodeSpawn = (message: SpawnerOrder | SpawnAnswer): Buffer => encodeFrame(message)
