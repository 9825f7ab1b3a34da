import type { Event } from '../../engine/api/contract/docker.ts'

/** A line of `GET /events`, under a name that does not hide the browser's and Node's own Event. */
export type EngineEvent = Event
