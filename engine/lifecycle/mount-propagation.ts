/** Whether a bind can propagate as it is asked to: only what the machine shares reaches it; mount_namespaces(7). */
import { EngineError } from '../base/errors.ts'

type MountEntry = { point: string; optional: string }

/** proc_pid_mountinfo(5): `36 35 98:0 /root /point rw,noatime shared:1 - ext4 …`; blanks are octal. */
const entriesOf = (mountinfo: string): MountEntry[] =>
  mountinfo
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, , , , point = '', , ...rest] = line.split(' ')
      const unescaped = point.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      )
      return { point: unescaped, optional: rest.slice(0, rest.indexOf('-')).join(' ') }
    })

const holds = (point: string, path: string): boolean => point === '/' || path === point || path.startsWith(`${point}/`)

/**
 * Throws invalid, in dockerd's words, where the mount that `source` lies on is not shared (for `shared`), or neither
 * shared nor a slave (for `slave`): nothing would propagate, and nobody would be told.
 *
 * @param source a path without links
 * @param mountinfo the text of /proc/self/mountinfo
 */
export function checkPropagation(source: string, propagation: string, mountinfo: string): void {
  const shares = propagation.endsWith('shared')
  if (!shares && !propagation.endsWith('slave')) return
  // Of two mounts on one point the later one is seen.
  const entry = entriesOf(mountinfo)
    .filter(({ point }) => holds(point, source))
    .reduce<MountEntry | undefined>(
      (best, one) => (one.point.length >= (best?.point.length ?? 0) ? one : best),
      undefined,
    )
  if (entry === undefined || /\bshared:/.test(entry.optional)) return
  if (!shares && /\bmaster:/.test(entry.optional)) return
  throw new EngineError(
    'invalid',
    `path ${source} is mounted on ${entry.point} but it is not a ${shares ? 'shared' : 'shared or slave'} mount`,
  )
}
