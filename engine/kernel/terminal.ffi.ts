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

const TCGETS = 0x5401
const TCSETS = 0x5402
const TIOCSCTTY = 0x540e
const TIOCGWINSZ = 0x5413
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

/** Characters. Throws ENOTTY for what is no terminal. */
export function windowSize(fd: number): { height: number; width: number } {
  const winsize = Buffer.alloc(8)
  cIoctl(fd, TIOCGWINSZ, winsize)
  return { height: winsize.readUInt16LE(0), width: winsize.readUInt16LE(2) }
}

/** struct termios of the kernel: four words of flags, the line discipline, 19 control characters. */
const sizeofTermios = 36
const outputFlagsAt = 4
const ONLCR = 0o4
/** IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON. */
const cookedInput = 0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000
const OPOST = 0o1
/** ECHO ECHONL ICANON ISIG IEXTEN. */
const cookedLocal = 0o10 | 0o100 | 0o2 | 0o1 | 0o100000
const CSIZE_PARENB = 0o60 | 0o400
const CS8 = 0o60
const VTIME_AT = 17 + 5
const VMIN_AT = 17 + 6

/** The terminal's modes, to be given back with `setTerminalModes`. Throws ENOTTY for what is no terminal. */
export function terminalModes(fd: number): Buffer {
  const modes = Buffer.alloc(sizeofTermios)
  cIoctl(fd, TCGETS, modes)
  return modes
}

/** Not by node:tty, which loads the network to tell. */
export function isTerminal(fd: number): boolean {
  try {
    terminalModes(fd)
    return true
  } catch {
    return false
  }
}

export const setTerminalModes = (fd: number, modes: Buffer): void => {
  cIoctl(fd, TCSETS, modes)
}

/** As cfmakeraw(3): what is typed arrives as it is, byte by byte. */
export function rawModes(modes: Buffer): Buffer {
  const raw = Buffer.from(modes)
  const change = (at: number, clear: number, set = 0): void => {
    raw.writeUInt32LE(((raw.readUInt32LE(at) & ~clear) | set) >>> 0, at)
  }
  change(0, cookedInput)
  change(outputFlagsAt, OPOST)
  change(8, CSIZE_PARENB, CS8)
  change(12, cookedLocal)
  raw[VMIN_AT] = 1
  raw[VTIME_AT] = 0
  return raw
}

/** New lines leave as they are: whoever shows the output turns them into what its terminal wants. */
export function leaveNewLines(fd: number): void {
  const modes = terminalModes(fd)
  modes.writeUInt32LE((modes.readUInt32LE(outputFlagsAt) & ~ONLCR) >>> 0, outputFlagsAt)
  setTerminalModes(fd, modes)
}
