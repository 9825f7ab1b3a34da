/**
 * The AppArmor profile of containers that ask for no other; apparmor.d(5). It lies where the machine's own profiles do, so
 * that it is loaded at every boot, and only setup runs apparmor_parser(8), which makes the text loadable (decision 8).
 */
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { messageOf } from '../base/errors.ts'
import { loadedProfiles, ownProfile } from '../lifecycle/apparmor.ts'
import { replaceFile } from './setup-place.ts'

const file = join('/etc/apparmor.d', ownProfile)
const parser = ['/usr/sbin/apparmor_parser', '/sbin/apparmor_parser'].find((path) => existsSync(path))

/**
 * All is allowed that the walls before it allow, but the settings and the view of the machine: what is read-only or masked
 * by a mount stays so where a container has found its way around the mount. `k[^e]` and the like stand for "not below
 * kernel/shm" and "not below fs/cgroup": rules that deny have no exceptions. The first abi is that of Linux 5.4: what newer
 * ones could mediate beyond it is not refused because nobody has allowed it.
 */
export const profileText = `# Made by drydock setup, and written anew by it: changes are lost.
abi <abi/3.0>,

profile ${ownProfile} flags=(attach_disconnected, mediate_deleted) {
  capability,
  file,
  network,
  umount,

  signal receive peer=unconfined,
  signal (send, receive) peer=${ownProfile},
  ptrace (trace, tracedby, read, readby) peer=${ownProfile},

  deny mount,

  # The kernel's settings, but for System V shared memory, which is the container's own.
  deny /proc/* wl,
  deny /proc/[^1-9s]*/** wl,
  deny /proc/s[^y]*/** wl,
  deny /proc/sys/[^k]** wl,
  deny /proc/sys/k[^e]** wl,
  deny /proc/sys/kernel/[^s]** wl,
  deny /proc/sys/kernel/s[^h]** wl,
  deny /proc/sys/kernel/sh[^m]** wl,

  # Memory and the end of the machine.
  deny /proc/{kcore,kmem,mem,sysrq-trigger} rwlkmx,

  # Devices and what else sysfs shows, but for control groups.
  deny /sys/[^f]** wlk,
  deny /sys/f[^s]** wlk,
  deny /sys/fs/[^c]** wlk,
  deny /sys/fs/c[^g]** wlk,
  deny /sys/firmware/** rwlkmx,
  deny /sys/kernel/security/** rwlkmx,
  deny /sys/devices/virtual/powercap/** rwlkmx,
}
`

const parse = (action: '--replace' | '--remove'): void => {
  execFileSync(parser ?? 'apparmor_parser', [action, '--skip-cache', file], {
    env: {},
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  })
}

/** Loads it, now and at each boot. Answers what hinders, undefined where it is loaded or the kernel has no AppArmor. */
export function loadProfile(): string | undefined {
  if (loadedProfiles() === undefined) return undefined
  if (parser === undefined) return 'apparmor_parser is not installed'
  if (lstatSync(dirname(file), { throwIfNoEntry: false })?.isDirectory() !== true)
    return `${dirname(file)} is not there`
  try {
    replaceFile(file, profileText)
    parse('--replace')
    return undefined
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer }
    return stderr?.toString().trim() || messageOf(error)
  }
}

/** Takes it away again, unless a container of another engine's has it. */
export function removeProfile(): void {
  if (!existsSync(file) || inUse()) return
  if (parser !== undefined && loadedProfiles()?.has(ownProfile) === true) parse('--remove')
  rmSync(file)
}

function inUse(): boolean {
  const labelOf = (pid: string): string => {
    try {
      return readFileSync(`/proc/${pid}/attr/current`, 'utf8')
    } catch {
      // It has ended.
      return ''
    }
  }
  return readdirSync('/proc').some((name) => /^\d+$/.test(name) && labelOf(name).startsWith(ownProfile))
}
