/** What is in the guests. Changes here make the next run build them anew. */

/** Of which Debian release the guests and QEMU are. */
export const suite = 'trixie'

/** User-mode Linux is taken from where it is newest: from 6.16 on it need not trace every system call, and is many times faster. */
export const umlSuite = 'sid'

/** Run on this machine. mke2fs reads archives from version 1.47.1 on, with libarchive. */
export const toolPackages = ['qemu-system-x86', 'virtiofsd', 'mmdebstrap', 'e2fsprogs', 'libarchive13t64']

/** The guest: systemd, and what the tests drive, compare with or are clients of. */
export const guestPackages = [
  ...['linux-image-cloud-amd64', 'initramfs-tools', 'busybox', 'kmod', 'udev'],
  ...['systemd', 'systemd-sysv', 'dbus', 'dbus-user-session', 'libpam-systemd', 'sudo'],
  ...['login', 'passwd', 'procps', 'uidmap', 'iproute2', 'iputils-ping', 'nftables', 'apparmor', 'e2fsprogs'],
  ...['runc', 'crun', 'podman', 'docker-cli', 'docker-registry', 'skopeo', 'passt', 'slirp4netns'],
  ...['bats', 'ca-certificates', 'curl', 'jq', 'make', 'python3', 'strace', 'xz-utils'],
]

/** An ordinary user with sudo, who is asked for no password. */
export const user = { name: 'ann', id: 1000 }

/** Into the initial RAM disk: what it takes to mount the root. */
export const earlyModules = ['virtio_pci', 'virtio_blk', 'ext4']

/** Left out of the guest, which has the files of packages that nobody reads. */
export const leftOut = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*']

/** Units that cost time at boot, or wait for what a guest does not have. /tmp stays on the disk, which knows every attribute. */
export const maskedUnits = [
  ...['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'e2scrub_all.timer', 'fstrim.timer'],
  ...[
    'getty@tty1.service',
    'serial-getty@ttyS0.service',
    'systemd-hwdb-update.service',
    'systemd-networkd-wait-online.service',
  ],
  ...[
    'apparmor.service',
    'systemd-pstore.service',
    'systemd-random-seed.service',
    'systemd-timesyncd.service',
    'podman.service',
    'tmp.mount',
  ],
  ...['podman.socket', 'podman-restart.service', 'podman-auto-update.timer', 'docker-registry.service'],
]
