/** A further process of a container is made by a row of calls, or by a fork where a row will not do: it finds the same. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { OciProcess, OciSpec } from '../../engine/spec/oci.ts'
import type { BundleOptions } from './bundle.ts'
import { byFork, seccomp, users } from './row-and-fork.ts'
import { collect, ShimBed, script, unframe } from './shim-bed.ts'

const skip = process.getuid?.() !== 0 && 'needs root'

let bed: ShimBed
before(async () => {
  if (skip === false) bed = await ShimBed.start()
})
after(() => bed?.close())

/** All that a process can know of itself, but for its number. */
const look = [
  'id -u; id -g; id -G; umask; pwd; env | sort',
  'grep -E "^(NoNewPrivs|Seccomp|Cap.*|Groups|Uid|Gid|Sig(Blk|Ign|Cgt))" /proc/self/status',
  'cat /proc/self/limits /proc/self/cgroup /proc/self/oom_score_adj',
  'for kind in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$kind; done',
  'for fd in /proc/self/fd/*; do readlink $fd | sed "s/[0-9]*//g"; done',
  'grep -c . /proc/self/mountinfo; stat -L -c "%U %F" /proc/self/fd/1; echo to the other >&2',
].join('; ')

type Found = { pid: number; stdout: string; stderr: string; exitCode: number }

async function withContainer(
  options: BundleOptions,
  work: (exec: (given: Partial<OciProcess>) => Promise<Found>) => Promise<void>,
) {
  const { bundle, shim } = await bed.launch(['sleep', '100'], options)
  using _bundle = bundle
  await shim.create()
  await shim.start()
  const { process: first } = JSON.parse(readFileSync(`${bundle.directory}/config.json`, 'utf8')) as OciSpec
  let count = 0
  const exec = async (given: Partial<OciProcess>): Promise<Found> => {
    count += 1
    const execId = `exec${count}`
    const request = { execId, openStdin: false, process: { ...first!, args: script(look), ...given } }
    const { pid, stream } = await shim.execAttached(request, { stdin: false, stdout: true, stderr: true })
    const output = unframe(await collect(stream))
    return { pid, ...output, exitCode: (await shim.execExited(execId)).exitCode }
  }
  await work(exec)
  await shim.killAll()
  await shim.exited
  await shim.release()
}

const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }]
const mapped: BundleOptions = {
  plainRoot: { owner: 100_000 },
  change: (spec) => {
    seccomp(spec)
    spec.linux!.namespaces!.push({ type: 'user' })
    spec.linux!.uidMappings = ids
    spec.linux!.gidMappings = ids
  },
}

for (const [place, options] of Object.entries({ 'a container': { change: seccomp }, 'one with mapped ids': mapped }))
  test(`${place}: the same for whoever it runs as`, { skip }, async () => {
    await withContainer(options, async (exec) => {
      for (const [name, given] of Object.entries(users)) {
        const [row, fork] = [await exec(given), await exec({ ...given, ...byFork })]
        assert.deepEqual({ ...row, pid: 0 }, { ...fork, pid: 0 }, name)
        assert.deepEqual([row.exitCode, row.stderr], [0, 'to the other\n'])
        assert.match(row.stdout, /^Seccomp:\s+2$/m)
        assert.match(row.stdout, /^SigBlk:\s+0+\nSigIgn:\s+0+$/m)
      }
    })
  })

test('HOME comes from the container’s own list of users, wherever that leads', { skip }, async () => {
  await withContainer({}, async (exec) => {
    const home = async () => (await exec({ args: script('echo $HOME'), user: { uid: 4242, gid: 0 } })).stdout
    assert.equal(await home(), '/\n')
    await exec({ args: script('echo u:x:4242:0::/mine:/bin/sh > /etc/passwd') })
    assert.equal(await home(), '/mine\n')
    // A link counts from the container's root, and what is no file is not opened.
    await exec({ args: script('mv /etc/passwd /tmp/list; ln -s /../../tmp/list /etc/passwd') })
    assert.equal(await home(), '/mine\n')
    await exec({ args: script('rm /etc/passwd; mkfifo /etc/passwd') })
    assert.equal(await home(), '/\n')
  })
})

test('what cannot be executed is told in the same words, and the next one runs', { skip }, async () => {
  await withContainer({}, async (exec) => {
    for (const way of [{}, byFork]) {
      await assert.rejects(exec({ ...way, args: ['nothing'] }), /exec: "nothing": executable file not found in \$PATH/)
      await assert.rejects(exec({ ...way, args: ['/tmp'] }), /exec: "\/tmp": is a directory/)
      await assert.rejects(exec({ ...way, cwd: '/no/such' }), /chdir to cwd \("\/no\/such"\)/)
    }
    assert.equal((await exec({ args: ['true'] })).exitCode, 0)
  })
})

test('a row copies no page of its maker’s memory', { skip }, async () => {
  await withContainer({}, async (exec) => {
    // Counted from the process's birth, its program's own included; proc_pid_stat(5) minflt.
    const faults = async (way: Partial<OciProcess>) =>
      Number((await exec({ ...way, args: ['cat', '/proc/self/stat'] })).stdout.split(') ')[1]!.split(' ')[7])
    await faults(byFork)
    const [row, fork] = [await faults({}), await faults(byFork)]
    assert.ok(row < fork / 2, `${row} page faults of a row, ${fork} of a fork`)
  })
})
