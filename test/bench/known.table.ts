/**
 * Medians of dockerd 20.10 with containerd 1.6, measured once on a machine like those that this was written on: two
 * processors, Debian 12. For orientation where dockerd does not run; units as in the table of measures.
 */
export const knownDockerd: Readonly<Record<string, number>> = {
  'run-none': 194,
  'run-bridge': 276,
  exec: 67,
  parallel: 7700,
  idle: 108,
  shim: 4.6,
  pull: 33_000,
  'log-write': 9600,
  'log-writer': 2300,
  'log-read': 8,
  list: 15,
  restart: 1800,
}
