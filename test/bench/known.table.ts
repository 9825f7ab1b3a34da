/**
 * Figures of dockerd from an earlier measurement on another machine of this kind; its version was not written down. For
 * orientation only, where dockerd does not run beside ours; units as in the table of measures.
 */
export const knownDockerd: Readonly<Record<string, number>> = {
  'run-none': 194,
  'run-bridge': 276,
  exec: 67,
  parallel: 7700,
  idle: 108,
  shim: 4.6,
  pull: 33_000,
  'line-write': 9600,
  'line-writer': 2300,
  'log-read': 8,
  restart: 1800,
}
