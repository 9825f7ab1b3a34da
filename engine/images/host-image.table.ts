/** What the image `host` takes from this machine. Anything not listed stays outside. */

/** Directories that are mounted as they are, read-only below the container's own writes, where they are no links. */
export const machineDirectories: readonly string[] = [
  'bin',
  'lib',
  'lib32',
  'lib64',
  'libx32',
  'nix',
  'opt',
  'sbin',
  'usr',
]

/** Those of them without which no program runs. */
export const neededDirectories: readonly string[] = ['usr']

/**
 * Of /etc: files and whole directories, as far as everybody may read them. Users and groups, the loader, certificates of
 * authorities, time zone, names of protocols, defaults of shells. Never shadow, keys, tokens, or settings of services.
 */
export const etcEntries: readonly string[] = [
  'alternatives',
  'bash.bashrc',
  'bash_completion.d',
  'bindresvport.blacklist',
  'ca-certificates',
  'ca-certificates.conf',
  'crypto-policies',
  'debian_version',
  'default/locale',
  'environment.d',
  'fedora-release',
  'fonts',
  'gai.conf',
  'group',
  'host.conf',
  'inputrc',
  'issue',
  'java-11-openjdk',
  'java-17-openjdk',
  'java-21-openjdk',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'locale.alias',
  'locale.conf',
  'localtime',
  'lsb-release',
  'magic',
  'mime.types',
  'networks',
  'nsswitch.conf',
  'os-release',
  'passwd',
  'perl',
  'pki/ca-trust',
  'pki/tls/cert.pem',
  'pki/tls/certs',
  'profile',
  'profile.d',
  'protocols',
  'python3',
  'python3.11',
  'python3.12',
  'python3.13',
  'redhat-release',
  'rpc',
  'services',
  'shells',
  'skel',
  'ssl/cert.pem',
  'ssl/certs',
  'ssl/openssl.cnf',
  'system-release',
  'terminfo',
  'timezone',
  'vconsole.conf',
  'xattr.conf',
  'xml',
]

/** Directories of the empty rest, with their modes. */
export const emptyDirectories: readonly (readonly [path: string, mode: number])[] = [
  ['dev', 0o755],
  ['etc', 0o755],
  ['home', 0o755],
  ['media', 0o755],
  ['mnt', 0o755],
  ['proc', 0o755],
  ['root', 0o700],
  ['run', 0o755],
  ['run/lock', 0o1777],
  ['srv', 0o755],
  ['sys', 0o755],
  ['tmp', 0o1777],
  ['var', 0o755],
  ['var/cache', 0o755],
  ['var/lib', 0o755],
  ['var/log', 0o755],
  ['var/mail', 0o755],
  ['var/opt', 0o755],
  ['var/spool', 0o755],
  ['var/tmp', 0o1777],
]

/** Files that the engine mounts its own over. */
export const emptyFiles: readonly string[] = ['etc/hostname', 'etc/hosts', 'etc/resolv.conf']

export const fixedLinks: readonly (readonly [path: string, target: string])[] = [
  ['etc/mtab', '/proc/mounts'],
  ['var/lock', '/run/lock'],
  ['var/run', '/run'],
]

/** In the order in which a shell looks for programs; the last ones only where the machine has them. */
export const searchPath: readonly string[] = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
]
export const searchPathWherePresent: readonly string[] = [
  '/usr/local/go/bin',
  '/usr/local/cargo/bin',
  '/nix/var/nix/profiles/default/bin',
]
