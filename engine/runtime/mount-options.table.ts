/** Mount options of config.json (runtime-spec config.md, "Linux mount options") by what they change. */
import { mountAttributes as attr, mountFlags as ms } from '../kernel/mount.ffi.ts'

/** Name → flag of mount(2) that it sets or clears. */
export const flagOptions: Readonly<Record<string, { set?: number; clear?: number }>> = {
  async: { clear: ms.MS_SYNCHRONOUS },
  atime: { clear: ms.MS_NOATIME },
  bind: { set: ms.MS_BIND },
  defaults: {},
  dev: { clear: ms.MS_NODEV },
  diratime: { clear: ms.MS_NODIRATIME },
  dirsync: { set: ms.MS_DIRSYNC },
  exec: { clear: ms.MS_NOEXEC },
  iversion: { set: ms.MS_I_VERSION },
  lazytime: { set: ms.MS_LAZYTIME },
  loud: { clear: ms.MS_SILENT },
  mand: { set: ms.MS_MANDLOCK },
  noatime: { set: ms.MS_NOATIME, clear: ms.MS_RELATIME | ms.MS_STRICTATIME },
  nodev: { set: ms.MS_NODEV },
  nodiratime: { set: ms.MS_NODIRATIME },
  noexec: { set: ms.MS_NOEXEC },
  noiversion: { clear: ms.MS_I_VERSION },
  nolazytime: { clear: ms.MS_LAZYTIME },
  nomand: { clear: ms.MS_MANDLOCK },
  norelatime: { clear: ms.MS_RELATIME },
  nostrictatime: { clear: ms.MS_STRICTATIME },
  nosuid: { set: ms.MS_NOSUID },
  nosymfollow: { set: ms.MS_NOSYMFOLLOW },
  rbind: { set: ms.MS_BIND | ms.MS_REC },
  relatime: { set: ms.MS_RELATIME, clear: ms.MS_NOATIME | ms.MS_STRICTATIME },
  remount: { set: ms.MS_REMOUNT },
  ro: { set: ms.MS_RDONLY },
  rw: { clear: ms.MS_RDONLY },
  silent: { set: ms.MS_SILENT },
  strictatime: { set: ms.MS_STRICTATIME, clear: ms.MS_NOATIME | ms.MS_RELATIME },
  suid: { clear: ms.MS_NOSUID },
  symfollow: { clear: ms.MS_NOSYMFOLLOW },
  sync: { set: ms.MS_SYNCHRONOUS },
}

export const propagationOptions: Readonly<Record<string, number>> = {
  private: ms.MS_PRIVATE,
  rprivate: ms.MS_PRIVATE | ms.MS_REC,
  slave: ms.MS_SLAVE,
  rslave: ms.MS_SLAVE | ms.MS_REC,
  shared: ms.MS_SHARED,
  rshared: ms.MS_SHARED | ms.MS_REC,
  unbindable: ms.MS_UNBINDABLE,
  runbindable: ms.MS_UNBINDABLE | ms.MS_REC,
}

/** Name → attributes of mount_setattr(2), applied to the mount and all below it. */
export const recursiveOptions: Readonly<Record<string, { set?: number; clear?: number }>> = {
  rro: { set: attr.MOUNT_ATTR_RDONLY },
  rrw: { clear: attr.MOUNT_ATTR_RDONLY },
  rnosuid: { set: attr.MOUNT_ATTR_NOSUID },
  rsuid: { clear: attr.MOUNT_ATTR_NOSUID },
  rnodev: { set: attr.MOUNT_ATTR_NODEV },
  rdev: { clear: attr.MOUNT_ATTR_NODEV },
  rnoexec: { set: attr.MOUNT_ATTR_NOEXEC },
  rexec: { clear: attr.MOUNT_ATTR_NOEXEC },
  rnodiratime: { set: attr.MOUNT_ATTR_NODIRATIME },
  rdiratime: { clear: attr.MOUNT_ATTR_NODIRATIME },
  rrelatime: { clear: attr.MOUNT_ATTR_ATIME },
  rnorelatime: { clear: attr.MOUNT_ATTR_ATIME },
  rnoatime: { clear: attr.MOUNT_ATTR_ATIME, set: attr.MOUNT_ATTR_NOATIME },
  ratime: { clear: attr.MOUNT_ATTR_ATIME },
  rstrictatime: { clear: attr.MOUNT_ATTR_ATIME, set: attr.MOUNT_ATTR_STRICTATIME },
  rnostrictatime: { clear: attr.MOUNT_ATTR_ATIME },
  rnosymfollow: { set: attr.MOUNT_ATTR_NOSYMFOLLOW },
  rsymfollow: { clear: attr.MOUNT_ATTR_NOSYMFOLLOW },
}

export const knownMountOptions: readonly string[] = [flagOptions, propagationOptions, recursiveOptions].flatMap(
  Object.keys,
)
