/**
 * What the engine makes in every container before its first process: mount points and marks. No change of the user's,
 * so neither docker diff nor docker commit shows it. With a slash at the end: directories that these are in.
 */
export const initLayer: ReadonlySet<string> = new Set([
  '/.dockerenv',
  '/dev',
  '/dev/',
  '/dev/console',
  '/dev/mqueue',
  '/dev/pts',
  '/dev/shm',
  '/etc',
  '/etc/',
  '/etc/hostname',
  '/etc/hosts',
  '/etc/mtab',
  '/etc/resolv.conf',
  '/proc',
  '/sys',
])
