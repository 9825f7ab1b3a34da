/** Go's os.FileMode, which Docker's API speaks: permissions as in st_mode, kinds and special bits of its own. */
import { fileTypes } from '../kernel/paths.ffi.ts'

const kinds: ReadonlyMap<number, number> = new Map([
  [fileTypes.S_IFDIR, 2 ** 31],
  [fileTypes.S_IFLNK, 2 ** 27],
  [fileTypes.S_IFBLK, 2 ** 26],
  [fileTypes.S_IFIFO, 2 ** 25],
  [fileTypes.S_IFSOCK, 2 ** 24],
  [fileTypes.S_IFCHR, 2 ** 26 + 2 ** 21],
])

/** From st_mode, inode(7). Beyond 31 bits: a number, not a bit mask of JavaScript. */
export const goFileMode = (mode: number): number =>
  (mode & 0o777) +
  (kinds.get(mode & fileTypes.S_IFMT) ?? 0) +
  ((mode & 0o4000) === 0 ? 0 : 2 ** 23) +
  ((mode & 0o2000) === 0 ? 0 : 2 ** 22) +
  ((mode & 0o1000) === 0 ? 0 : 2 ** 20)
