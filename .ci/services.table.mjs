/** What is in the images of services.mjs: packages, files that installations would make, configurations. */

/** Owners, as the files below name them. */
const [www, postgres, redis] = [33, 70, 71]

const passwd = `root:x:0:0:root:/root:/bin/sh
www-data:x:${www}:${www}:www-data:/var/www:/usr/sbin/nologin
postgres:x:${postgres}:${postgres}:PostgreSQL:/var/lib/postgresql:/bin/sh
redis:x:${redis}:${redis}:Redis:/data:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`
const group = passwd
  .trim()
  .split('\n')
  .map((line) => line.split(':'))
  .map(([name, , id]) => `${name === 'nobody' ? 'nogroup' : name}:x:${id}:\n`)
  .join('')

const nginxConfiguration = `user www-data;
worker_processes 2;
error_log /dev/stderr notice;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  access_log /dev/stdout;
  sendfile on;
  server {
    listen 80;
    root /srv;
  }
}
`

/** As the well-known image does it: a cluster is made where there is none, then the server takes this process's place. */
const postgresEntry = `#!/bin/sh
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf %s "$POSTGRES_PASSWORD" > /tmp/password
  initdb --auth-local=trust --auth-host=scram-sha-256 --pwfile=/tmp/password --encoding=UTF8 --locale=C.UTF-8
  rm /tmp/password
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
fi
exec "$@"
`

/** Needed by installations only, or (LLVM) by a planner that is told to do without. */
export const unwanted = [
  /^perl/,
  /^lib.*-perl$/,
  /^libperl/,
  /^debconf$/,
  /^adduser$/,
  /^passwd$/,
  /^libpam-/,
  /^libsemanage/,
  /^init-system-helpers$/,
  /^iproute2$/,
  /^locales$/,
  /^libc-l10n$/,
  /^postgresql-(client-)?common/,
  /^ssl-cert$/,
  /^ucf$/,
  /^procps$/,
  /^libllvm/,
  /^libz3-/,
]

export const shared = {
  packages: ['busybox', 'libc-bin'],
  files: { 'etc/passwd': [passwd], 'etc/group': [group], 'etc/nsswitch.conf': ['hosts: files dns\n'] },
}

const postgresPrograms = '/usr/lib/postgresql/17/bin'

export const images = {
  nginx: {
    packages: ['nginx'],
    files: { 'etc/nginx/nginx.conf': [nginxConfiguration], 'srv/index.html': ['it works\n'] },
    config: { Cmd: ['nginx', '-g', 'daemon off;'], ExposedPorts: { '80/tcp': {} }, StopSignal: 'SIGQUIT' },
  },
  postgres: {
    packages: ['postgresql-17'],
    files: { 'usr/local/bin/entry': [postgresEntry, 0o755] },
    directories: {
      'var/lib/postgresql': [postgres, 0o755],
      'var/lib/postgresql/data': [postgres, 0o700],
      'run/postgresql': [postgres, 0o775],
    },
    config: {
      User: 'postgres',
      Env: [`PATH=${postgresPrograms}:/usr/local/bin:/usr/bin`, 'PGDATA=/var/lib/postgresql/data'],
      Entrypoint: ['entry'],
      Cmd: ['postgres', '-c', 'listen_addresses=*', '-c', 'jit=off'],
      ExposedPorts: { '5432/tcp': {} },
      Volumes: { '/var/lib/postgresql/data': {} },
      StopSignal: 'SIGINT',
    },
  },
  redis: {
    packages: ['redis-server'],
    directories: { data: [redis, 0o755] },
    config: {
      User: 'redis',
      WorkingDir: '/data',
      Cmd: ['redis-server', '--protected-mode', 'no', '--appendonly', 'yes'],
      ExposedPorts: { '6379/tcp': {} },
      Volumes: { '/data': {} },
    },
  },
}

/** Packages of the programs that put services under load. */
export const loaders = ['wrk', 'postgresql-17', 'redis-tools']
