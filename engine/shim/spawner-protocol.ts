/** What the daemon and its spawner say to each other: the frames of protocol.ts. Number 0 is the spawner's greeting. */
import type { Failure } from './failure.ts'
import { encodeFrame } from './protocol.ts'

export type SpawnRequest = { number: number; directory: string }
export type SpawnAnswer =
  | { number: number; pid: number }
  | { number: number; error: Failure }
  | { number: 0; proven: boolean }

export const encodeSpawn = (message: SpawnRequest | SpawnAnswer): Buffer => encodeFrame(message)
