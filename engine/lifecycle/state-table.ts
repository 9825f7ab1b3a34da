/** What may happen to a container in which state. What is missing in the table is a conflict. */
import type { ContainerState } from './container.ts'

export type ContainerEvent =
  | 'start'
  | 'pause'
  | 'unpause'
  /** The process ended for good. */
  | 'exit'
  /** The process ended and the restart policy wants it again. */
  | 'exit-again'
  /** A pending restart was called off, or failed. */
  | 'give-up'
  | 'remove'
  /** A removal that could not be finished. */
  | 'remove-failed'

export const transitions: Readonly<Record<ContainerState, Partial<Record<ContainerEvent, ContainerState>>>> = {
  created: { start: 'running', remove: 'removing' },
  running: { pause: 'paused', exit: 'exited', 'exit-again': 'restarting' },
  paused: { unpause: 'running', exit: 'exited', 'exit-again': 'restarting' },
  restarting: { start: 'running', 'give-up': 'exited', 'exit-again': 'restarting' },
  exited: { start: 'running', remove: 'removing' },
  // A daemon that was killed while it removed goes on with it when it comes back.
  removing: { remove: 'removing', 'remove-failed': 'dead' },
  dead: { remove: 'removing' },
}

/** The state after `event`, or undefined where the event is not allowed. */
export const nextState = (state: ContainerState, event: ContainerEvent): ContainerState | undefined =>
  transitions[state][event]

/** Has a process, or is about to get one again; wire fact 53. */
export const isRunning = (state: ContainerState): boolean =>
  state === 'running' || state === 'paused' || state === 'restarting'

/** Has a process right now. */
export const hasProcess = (state: ContainerState): boolean => state === 'running' || state === 'paused'
