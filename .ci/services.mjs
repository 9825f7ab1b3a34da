/**
 * nginx, PostgreSQL and Redis as images, for the tests and the bench: Debian's packages unpacked, with the few files that
 * their installation would make, packed as docker archives of two layers, the lower of which all share. Beside them one
 * root with the programs that load such services.
 */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { Archive, attempt, cache, run, suite } from './debian.mjs'
import { images, loaders, shared, unwanted } from './services.table.mjs'

const description = createHash('sha256')
for (const name of ['services.mjs', 'services.table.mjs'])
  description.update(readFileSync(join(import.meta.dirname, name)))

const kind = `services-${suite}-`
const home = join(cache, `${kind}${description.digest('hex').slice(0, 12)}`)

/** The docker archive of one of `images`, tagged `NAME:latest`. */
export const serviceArchive = (name) => join(home, `${name}.tar`)
/** To be entered with chroot(8): wrk, pgbench, psql, redis-benchmark, redis-cli. */
export const loadersRoot = join(home, 'loaders')

function skeleton(root) {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    mkdirSync(join(root, 'usr', name), { recursive: true })
    symlinkSync(`usr/${name}`, join(root, name))
  }
  for (const name of ['etc', 'tmp', 'run', 'var/lib', 'var/log']) mkdirSync(join(root, name), { recursive: true })
  chmodSync(join(root, 'tmp'), 0o1777)
  symlinkSync('/run', join(root, 'var/run'))
}

function add(root, { files = {}, directories = {} }) {
  for (const [path, [content, mode = 0o644]] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
    chmodSync(join(root, path), mode)
  }
  for (const [path, [owner, mode]] of Object.entries(directories)) {
    mkdirSync(join(root, path), { recursive: true })
    chmodSync(join(root, path), mode)
    chownSync(join(root, path), owner, owner)
  }
}

function slim(root) {
  for (const path of ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/info', 'usr/share/lintian'])
    rmSync(join(root, path), { recursive: true, force: true })
}

function layer(root, path) {
  slim(root)
  run('tar', ['--create', '--sort=name', '--numeric-owner', '--mtime=@0', '--file', path, '--directory', root, '.'])
  return `sha256:${createHash('sha256').update(readFileSync(path)).digest('hex')}`
}

/** image-spec, config.md; the manifest.json is docker's. */
function pack(directory, name, { config }, diffIds) {
  const place = join(directory, `pack-${name}`)
  mkdirSync(place)
  const document = {
    architecture: { x64: 'amd64' }[process.arch] ?? process.arch,
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin'], ...config },
    rootfs: { type: 'layers', diff_ids: diffIds },
  }
  writeFileSync(join(place, 'config.json'), JSON.stringify(document))
  cpSync(join(directory, 'shared.tar'), join(place, 'shared.tar'))
  cpSync(join(directory, `${name}.layer.tar`), join(place, 'own.tar'))
  const manifest = [{ Config: 'config.json', RepoTags: [`${name}:latest`], Layers: ['shared.tar', 'own.tar'] }]
  writeFileSync(join(place, 'manifest.json'), JSON.stringify(manifest))
  run('tar', ['--create', '--file', join(directory, `${name}.tar`), '--directory', place, '.'])
  rmSync(place, { recursive: true })
}

function make(directory) {
  const archive = new Archive(join(directory, 'apt'))
  const closure = (names) => archive.closure(names).filter((name) => !unwanted.some((pattern) => pattern.test(name)))
  const below = closure(shared.packages)
  const sharedRoot = join(directory, 'shared')
  skeleton(sharedRoot)
  archive.unpack(below, sharedRoot)
  for (const applet of run('/usr/sbin/chroot', [sharedRoot, 'busybox', '--list']).trim().split('\n'))
    if (applet !== 'busybox') symlinkSync('busybox', join(sharedRoot, 'usr/bin', applet))
  add(sharedRoot, shared)
  cpSync(sharedRoot, join(directory, 'loaders'), { recursive: true, verbatimSymlinks: true })
  const lower = layer(sharedRoot, join(directory, 'shared.tar'))
  for (const [name, image] of Object.entries(images)) {
    const own = join(directory, name)
    archive.unpack(
      closure(image.packages).filter((one) => !below.includes(one)),
      own,
    )
    add(own, image)
    pack(directory, name, image, [lower, layer(own, join(directory, `${name}.layer.tar`))])
    for (const left of [own, join(directory, `${name}.layer.tar`)]) rmSync(left, { recursive: true })
  }
  archive.unpack(
    closure(loaders).filter((one) => !below.includes(one)),
    join(directory, 'loaders'),
  )
  slim(join(directory, 'loaders'))
  for (const left of [sharedRoot, join(directory, 'shared.tar')]) rmSync(left, { recursive: true })
  archive.remove()
  // What an earlier description made, 400 MB.
  for (const name of readdirSync(cache).filter((one) => one.startsWith(kind) && one !== basename(directory)))
    rmSync(join(cache, name), { recursive: true })
}

/** Why they can't be had, or undefined. Never fails. Needs root: files have owners. */
export function ensureServices(log = console.log) {
  return attempt(`nginx, PostgreSQL and Redis from Debian ${suite} (60 MB)`, home, make, log)
}
