/** The Status column of `ps`; wire fact 57. */
import type { Container, Health } from './container.ts'

const minute = 60
const hour = 60 * minute
const day = 24 * hour
const week = 7 * day

/** A duration in words, as Docker's clients know them; `seconds` may have a fraction. */
export function humanDuration(seconds: number): string {
  const whole = Math.trunc(seconds)
  if (whole < 1) return 'Less than a second'
  if (whole === 1) return '1 second'
  if (whole < minute) return `${whole} seconds`
  const minutes = Math.trunc(seconds / minute)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.round(seconds / hour)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (seconds < 2 * week) return `${Math.trunc(seconds / day)} days`
  if (seconds < 60 * day) return `${Math.trunc(seconds / week)} weeks`
  if (seconds < 730 * day) return `${Math.trunc(seconds / day / 30)} months`
  return `${Math.trunc(seconds / day / 365)} years`
}

const secondsSince = (time: string, now: number): number => Math.max(0, (now - Date.parse(time)) / 1000)

const healthText = (health: Health | undefined): string => {
  if (health === undefined) return ''
  return ` (${health.status === 'starting' ? 'health: starting' : health.status})`
}

/** @param now milliseconds since the epoch */
export function statusText(container: Pick<Container, 'run'>, now: number): string {
  const { run } = container
  switch (run.state) {
    case 'running':
      return `Up ${humanDuration(secondsSince(run.startedAt, now))}${healthText(run.health)}`
    case 'paused':
      return `Up ${humanDuration(secondsSince(run.startedAt, now))} (Paused)`
    case 'restarting':
      return `Restarting (${run.exitCode}) ${humanDuration(secondsSince(run.finishedAt, now))} ago`
    case 'removing':
      return 'Removal In Progress'
    case 'dead':
      return 'Dead'
    case 'created':
      return 'Created'
    case 'exited':
      return `Exited (${run.exitCode}) ${humanDuration(secondsSince(run.finishedAt, now))} ago`
  }
}
