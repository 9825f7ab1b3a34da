/** Terminals: pts(4), ioctl_tty(2). */
import { declare } from './libc.ffi.ts'

const cIoctl = declare(
  'ioctl',
  'int ioctl(int fd, unsigned long request, void *argument)',
  (fd, request) => `${request} of ${fd}`,
)
const cIoctlNumber = declare(
  'ioctl',
  'int ioctl(int fd, unsigned long request, long argument)',
  (fd, request) => `${request} of ${fd}`,
)

const TIOCSCTTY = 0x540e
const TIOCSWINSZ = 0x5414
const TIOCGPTN = 0x80045430
const TIOCSPTLCK = 0x40045431
const TIOCGPTPEER = 0x5441
const O_RDWR_NOCTTY_CLOEXEC = 0o2 | 0o400 | 0o2000000

/** Unlocks the terminal behind a /dev/ptmx descriptor and tells its number N of /dev/pts/N. */
export function unlockTerminal(master: number): number {
  const number = Buffer.alloc(4)
  cIoctl(master, TIOCSPTLCK, number)
  cIoctl(master, TIOCGPTN, number)
  return number.readInt32LE(0)
}

/** Opens the other end through the master, so no path of a container is trusted; TIOCGPTPEER. Close-on-exec. */
export const openPeer = (master: number): number => cIoctlNumber(master, TIOCGPTPEER, O_RDWR_NOCTTY_CLOEXEC)

/** Makes it the controlling terminal of the caller's session (which must have none). */
export const setControllingTerminal = (fd: number): void => {
  cIoctlNumber(fd, TIOCSCTTY, 0)
}

/** Characters; the foreground processes get SIGWINCH. */
export function setWindowSize(fd: number, size: { height: number; width: number }): void {
  const winsize = Buffer.alloc(8)
  winsize.writeUInt16LE(size.height & 0xffff, 0)
  winsize.writeUInt16LE(size.width & 0xffff, 2)
  cIoctl(fd, TIOCSWINSZ, winsize)
}
