/** A container's health as its probes tell it; wire facts 115–118. Pure. */
import { EngineError } from '../base/errors.ts'
import { longestTimer } from '../base/time.ts'
import type { ContainerConfig, Health, ProbeResult } from './container.ts'

/** Durations in milliseconds. */
export type HealthTest = {
  command: string[]
  interval: number
  timeout: number
  /** Failures in this time after the start do not count, unless it was healthy once. */
  startPeriod: number
  /** Between probes in the start period. */
  startInterval: number
  /** Failures in a row that make it unhealthy. */
  retries: number
}

const kept = 5
/** Bytes of a probe's output. */
export const longestOutput = 4096

const milliseconds = (nanoseconds: number | undefined, otherwise: number): number =>
  nanoseconds === undefined || nanoseconds === 0 ? otherwise : Math.min(nanoseconds / 1e6, longestTimer)

/** What to run and when; undefined where the container has no health check. invalid for a kind of test there is not. */
export function healthTest(config: ContainerConfig): HealthTest | undefined {
  const { Test = [], Interval, Timeout, StartPeriod, StartInterval, Retries } = config.Healthcheck ?? {}
  const [kind, ...words] = Test
  if (kind === undefined || kind === '' || kind === 'NONE') return undefined
  if (kind !== 'CMD' && kind !== 'CMD-SHELL')
    throw new EngineError('invalid', `Unknown healthcheck type '${kind}' (expected 'CMD', 'CMD-SHELL' or 'NONE')`)
  if (words.length === 0) throw new EngineError('invalid', `a healthcheck of type ${kind} needs a command`)
  const shell = config.Shell === undefined || config.Shell.length === 0 ? ['/bin/sh', '-c'] : config.Shell
  return {
    command: kind === 'CMD' ? words : [...shell, ...words],
    interval: milliseconds(Interval, 30_000),
    timeout: milliseconds(Timeout, 30_000),
    startPeriod: milliseconds(StartPeriod, 0),
    startInterval: milliseconds(StartInterval, 5000),
    retries: Retries === undefined || Retries === 0 ? 3 : Retries,
  }
}

export const startingHealth = (): Health => ({ status: 'starting', failingStreak: 0, log: [] })

/** Nobody probes it: what is not known to be well counts as unwell, as dockerd says it. */
export const unwatchedHealth = (health: Health | undefined): { health?: Health } =>
  health === undefined ? {} : { health: { ...health, status: 'unhealthy' } }

/** Where the clock was set back to before the start nobody knows: then it is long ago, so that failures count. */
function sinceStart(startedAt: string, now: number): number {
  const milliseconds = now - Date.parse(startedAt)
  return milliseconds < 0 ? Number.POSITIVE_INFINITY : milliseconds
}

/**
 * Milliseconds from the end of one probe to the next.
 *
 * @param now milliseconds since the epoch
 */
export const nextProbe = (test: HealthTest, health: Health, startedAt: string, now: number): number =>
  health.status === 'starting' && sinceStart(startedAt, now) < test.startPeriod ? test.startInterval : test.interval

export function afterProbe(test: HealthTest, before: Health, result: ProbeResult, startedAt: string): Health {
  const log = [...before.log, result].slice(-kept)
  if (result.exitCode === 0) return { status: 'healthy', failingStreak: 0, log }
  const counts = before.status !== 'starting' || sinceStart(startedAt, Date.parse(result.start)) >= test.startPeriod
  const failingStreak = before.failingStreak + (counts ? 1 : 0)
  return { status: counts && failingStreak >= test.retries ? 'unhealthy' : before.status, failingStreak, log }
}
