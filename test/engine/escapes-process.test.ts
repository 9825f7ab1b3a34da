/** Ways out that a process has by what it is or was given: powers, groups, keys, devices, kernel files. Each is tried. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { noEngine, TestEngine } from './engine.ts'

const noClient = spawnSync('docker', ['--version']).error !== undefined && 'the docker command line is not installed'
const noPython = spawnSync('python3', ['--version']).error !== undefined && 'needs python3'

/**
 * A process of the container with the entering one's user: looks at every other process it can see as fast as it can, and tells what it could
 * open, read or attach to of one whose program or root is not the container's.
 */
const watcher = `
import os
own, root, found = os.getpid(), os.stat('/'), set()
# Whether its program is none of the container's, whatever it is called: then its path leads here to another file, or to none.
def foreign(base):
    path, seen = os.readlink(base + '/exe'), os.stat(base + '/exe')
    try: here = os.stat(path)
    except OSError: here = None
    same = here is not None and (here.st_dev, here.st_ino) == (seen.st_dev, seen.st_ino)
    return not same and os.readlink(base + '/exe') == path
while not os.path.exists('/tmp/enough'):
    for pid in filter(str.isdigit, os.listdir('/proc')):
        if int(pid) in (1, own): continue
        base = '/proc/' + pid
        try:
            if foreign(base): found.add('program ' + os.readlink(base + '/exe'))
        except OSError: pass
        try:
            if os.stat(base + '/root') .st_ino != root.st_ino: found.add('root')
        except OSError: pass
        try:
            for fd in os.listdir(base + '/fd'):
                where = os.readlink(base + '/fd/' + fd)
                if where.startswith('/') and not os.path.lexists(where): found.add('descriptor ' + where)
        except OSError: pass
        try:
            # What ptrace(2) asks for, without stopping anybody. Its own program may have come in between: then it is one of ours.
            os.close(os.open(base + '/mem', os.O_RDWR))
            if foreign(base): found.add('memory')
        except OSError: pass
print('found', sorted(found))
`

/** keyctl(2) KEYCTL_GET_KEYRING_ID and KEYCTL_DESCRIBE of the session keyring. */
const sessionKeyring = `
import ctypes
libc = ctypes.CDLL(None)
buffer = ctypes.create_string_buffer(256)
keyctl = 250 if __import__('os').uname().machine == 'x86_64' else 219
length = libc.syscall(keyctl, 6, -3, buffer, 256)
print(libc.syscall(keyctl, 0, -3, 0), buffer.value.decode()) if length > 0 else print('none')
`

/** What the engine has of whoever starts it, and no container may have of the engine. */
const giving = [
  ...['env', 'DRYDOCK_INHERITED=yes', 'setpriv', '--groups', '4242'],
  ...['--inh-caps', '+net_admin,+sys_ptrace', '--ambient-caps', '+net_admin,+sys_ptrace'],
]
const noLauncher = spawnSync('setpriv', ['--version']).error !== undefined && 'needs setpriv'

describe('ways out of a process', { skip: noEngine || noClient || noLauncher }, () => {
  let engine: TestEngine
  before(async () => {
    engine = await TestEngine.startBy(...giving)
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })
  const run = (...words: string[]) => engine.docker(['run', '--rm', '--network', 'none', ...words])
  const sh = async (options: string[], script: string): Promise<string> => {
    const { code, out, error } = await run(...options, 'host', 'sh', '-c', script)
    assert.equal(code, 0, `${error}${out}`)
    return out
  }
  const remove = (name: string) => engine.call('DELETE', `/containers/${name}?force=1`)

  test('root in a container gets no hold of a process on its way in', { skip: noPython }, async () => {
    await engine.run('watch', ['sleep', '600'])
    const watching = engine.docker(['exec', 'watch', 'python3', '-c', watcher])
    let entered = 0
    for (const end = Date.now() + 3500; entered < 3 || Date.now() < end; entered += 1)
      await engine.docker(['exec', 'watch', 'true'])
    await engine.docker(['exec', 'watch', 'touch', '/tmp/enough'])
    const { out, error } = await watching
    assert.equal(out, 'found []\n', error)
    await remove('watch')
  })

  test('nothing is inherited: capabilities, groups, environment (CVE-2022-24769, CVE-2022-36109)', async () => {
    const field = (text: string, name: string) => new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, 'm').exec(text)?.[1]
    const ofEngine = readFileSync(`/proc/${engine.pid}/status`, 'utf8')
    assert.deepEqual([field(ofEngine, 'Groups'), field(ofEngine, 'CapAmb')], ['4242', '0000000000081000'])
    await engine.run('powers', ['sleep', '600'])
    const ask = 'cat /proc/self/status; env | grep DRYDOCK; true'
    const entered = async (...words: string[]): Promise<string> =>
      (await engine.docker(['exec', ...words, 'powers', 'sh', '-c', ask])).out
    const started = (...words: string[]): Promise<string> => sh(words, ask)
    for (const status of [entered, started])
      for (const words of [[], ['--user', '1234:5678'], ['--privileged']]) {
        const text = await status(...words)
        const none = '0000000000000000'
        assert.deepEqual([field(text, 'CapInh'), field(text, 'CapAmb')], [none, none], words.join(' '))
        assert.doesNotMatch(field(text, 'Groups')!, /4242/)
        assert.doesNotMatch(text, /DRYDOCK/)
        if (words[0] !== '--user') continue
        assert.deepEqual([field(text, 'CapEff'), field(text, 'Gid')], [none, '5678\t5678\t5678\t5678'])
        assert.match(field(text, 'Groups')!, /^(5678)?$/)
      }
    await remove('powers')
  })

  test('kernel files cannot be written, nor uncovered', async () => {
    const files = [
      '/proc/sys/kernel/core_pattern',
      '/proc/sys/kernel/modprobe',
      '/proc/sys/vm/panic_on_oom',
      '/proc/sysrq-trigger',
      '/proc/irq/default_smp_affinity',
      '/sys/kernel/uevent_helper',
      '/sys/kernel/mm/transparent_hugepage/enabled',
      '/sys/power/state',
      '/sys/module/kernel/parameters/panic',
      '/sys/fs/cgroup/release_agent',
      '/sys/fs/cgroup/memory/release_agent',
      '/sys/fs/cgroup/memory/notify_on_release',
      '/sys/fs/cgroup/cgroup.procs',
    ]
    const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8')
    // Opened for it, and no more: what would be written is not the same to all of them.
    const write = files.map((path) => `(: >>${path}) 2>/dev/null && echo ${path}`).join('; ')
    assert.equal(await sh([], `${write}; true`), '')
    assert.equal(readFileSync('/proc/sys/kernel/core_pattern', 'utf8'), pattern)
    const uncover = [
      'mount -o remount,rw /proc/sys',
      'mount -o remount,rw,bind /sys',
      'umount /proc/sys',
      'umount -l /proc/keys',
      'mount -t proc proc /mnt',
      'mount -t cgroup -o memory c /mnt',
      'mount -t sysfs s /mnt',
      'unshare -Ur mount -t proc proc /mnt',
      'unshare -UrmC mount -t cgroup -o rdma c /mnt',
      'nsenter -t 1 -m true --mount=/proc/1/ns/mnt',
      'chroot / unshare -m true',
      'swapoff -a -v /dev/zero',
      'sysctl -w kernel.hostname=x',
      'dmesg -C',
      'date -s 2001-01-01',
    ].map((command) => `${command} >/dev/null 2>&1 && echo "${command}"`)
    assert.equal(await sh([], `${uncover.join('; ')}; true`), '')
    // With the power to mount, but without that over the machine's user namespace's /proc there is no other view either.
    const masked = await sh(
      [],
      'wc -c </proc/keys 2>/dev/null; ls /sys/firmware /proc/scsi 2>/dev/null | grep -v : | wc -w',
    )
    assert.match(masked, /^(0\n)?0\n$/)
  })

  test('devices: a node can be made and not opened, by nobody in it', async () => {
    const [, major = '254', minor = '0'] =
      /^ *(\d+) +(\d+) +\d+ \w+$/m.exec(readFileSync('/proc/partitions', 'utf8')) ?? []
    const nodes = `mknod /tmp/disk b ${major} ${minor}; mknod /tmp/mem c 1 1; mknod /tmp/kmsg c 1 11; mknod /tmp/port c 1 4`
    const open =
      'for n in disk mem kmsg port; do (: </tmp/$n) 2>/dev/null && echo read $n; (: >>/tmp/$n) 2>/dev/null && echo write $n; done'
    assert.equal(await sh([], `${nodes}; ${open}; true`), '')
    await engine.run('devices', ['sleep', '600'])
    const exec = await engine.docker(['exec', '--privileged', 'devices', 'sh', '-c', `${nodes}; ${open}; true`])
    assert.equal(exec.out, '', exec.error)
    await remove('devices')
    // A volume, too: made there by a container, it is no way for another.
    await sh(['-v', 'nodes:/tmp'], nodes)
    assert.equal(await sh(['-v', 'nodes:/tmp'], `${open}; true`), '')
    await engine.call('DELETE', '/volumes/nodes')
  })

  test('abstract sockets of the machine are out of reach', { skip: noPython }, async () => {
    const name = `drydock-escape-${process.pid}`
    const server = createServer((socket) => socket.end('machine'))
    await new Promise<void>((resolve) => server.listen(`\0${name}`, resolve))
    try {
      const connect = `import socket; s = socket.socket(socket.AF_UNIX); s.connect('\\0${name}'); print(s.recv(99).decode())`
      const { code, error } = await run('host', 'python3', '-c', connect)
      assert.deepEqual([code, /refused/i.test(error)], [1, true], error)
      // The one that shares the machine's network has them, as with dockerd: it is the network namespace that parts them.
      const shared = await engine.docker(['run', '--rm', '--network', 'host', 'host', 'python3', '-c', connect])
      assert.equal(shared.out, 'machine\n', shared.error)
    } finally {
      server.close()
    }
  })

  test('the session keyring is the container’s own, for its execs as well', { skip: noPython }, async () => {
    const options = { NetworkMode: 'none', SecurityOpt: ['seccomp=unconfined'] }
    const id = await engine.run('keys', ['sh', '-c', 'python3 -c "$CODE"; sleep 600'], {
      Env: [`CODE=${sessionKeyring}`],
      HostConfig: options,
    })
    const { out } = await engine.docker(['exec', 'keys', 'python3', '-c', sessionKeyring])
    const logs = (await engine.docker(['logs', 'keys'])).out
    if (logs.trim() !== 'none') {
      assert.match(logs, new RegExp(`;_ses\\.${id}\n$`))
      assert.equal(out, logs, 'an exec has the very same, not another of that name')
      assert.notEqual(spawnSync('python3', ['-c', sessionKeyring], { encoding: 'utf8' }).stdout, logs)
    }
    await remove('keys')
    // By default there is no way to ask for keys at all.
    const asked = await run('host', 'python3', '-c', sessionKeyring)
    assert.equal(asked.out, 'none\n', asked.error)
  })

  test('the machine’s processes are neither seen nor signalled', async () => {
    const out = await sh([], 'ls /proc | grep -c "^[0-9]"; kill -0 -- -1 2>&1; readlink /proc/1/exe')
    assert.match(out, /^[1-4]\n/)
    assert.doesNotMatch(out, /node/)
    assert.notEqual(await sh([], 'readlink /proc/1/ns/pid'), `${readlinkSync('/proc/self/ns/pid')}\n`)
  })
})
