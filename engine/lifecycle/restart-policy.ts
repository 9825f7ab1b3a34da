/** Whether, and after how long, an ended container starts again; wire facts 52 and 54. */
import type { RestartPolicy } from './container.ts'

export type Ended = {
  exitCode: number
  /** A user stopped or killed it: a pending restart is off. */
  manuallyStopped: boolean
  /** Automatic restarts so far. */
  restartCount: number
}

/** Milliseconds: 100 at first, doubling to a minute, back to the start after a run of ten seconds. */
export const firstDelay = 100
const longestDelay = 60_000
const steadyRun = 10_000

export const wantsRestart = (policy: RestartPolicy | undefined, ended: Ended): boolean => {
  if (ended.manuallyStopped) return false
  switch (policy?.Name) {
    case 'always':
    case 'unless-stopped':
      return true
    case 'on-failure': {
      const most = policy.MaximumRetryCount ?? 0
      return ended.exitCode !== 0 && (most === 0 || ended.restartCount < most)
    }
    default:
      return false
  }
}

/** The wait before the next start, given the wait before the last one (undefined: none yet) and how long it ran, in ms. */
export const nextDelay = (last: number | undefined, ranFor: number): number =>
  last === undefined || ranFor >= steadyRun ? firstDelay : Math.min(last * 2, longestDelay)

/** At the daemon's start, for a container that ran (or waited to) when the last daemon ended and does not run now. */
export const wantsStartAtBoot = (policy: RestartPolicy | undefined, ended: Ended): boolean =>
  policy?.Name === 'always' || wantsRestart(policy, ended)
