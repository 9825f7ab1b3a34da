/** QEMU with an emulated processor, and Debian's kernel: everything is there, at a tenth of the speed. */
import { join } from 'node:path'
import { type Bed, kernelWords, type Server } from './bed.ts'
import { project } from './cache.ts'
import type { Guest, Tools } from './guest.ts'

/** Of the guest, in MiB: the servers of the shares have it mapped. */
const memory = 3072

/** The host's directory as the guest's file system `tag`, served by virtiofsd to QEMU's virtio device. */
const share = (tools: Tools, tag: string, path: string, socket: string, readOnly: boolean): Share => ({
  server: {
    command: [
      ...tools.program('usr/libexec/virtiofsd'),
      ...['--socket-path', socket, '--shared-dir', path, '--sandbox', 'none', '--log-level', 'error'],
      ...(readOnly ? ['--readonly', '--cache', 'always'] : []),
    ],
    socket,
  },
  device: [
    ...['-chardev', `socket,id=${tag},path=${socket}`],
    ...['-device', `vhost-user-fs-pci,chardev=${tag},tag=${tag}`],
  ],
})

type Share = { server: Server; device: string[] }

export const qemu = (tools: Tools, { disk, kernel, initrd }: Guest): Bed => ({
  name: 'qemu',
  modes: ['plain', 'systemd', 'nested'],
  settings: {},
  start: (job) => {
    const shares = [
      share(tools, 'job', job, join(job, 'job.sock'), false),
      share(tools, 'project', project, join(job, 'project.sock'), true),
    ]
    return {
      servers: shares.map(({ server }) => server),
      command: [
        ...tools.program('usr/bin/qemu-system-x86_64'),
        ...['-L', join(tools.root, 'usr/share/qemu'), '-L', join(tools.root, 'usr/share/seabios')],
        ...['-machine', 'q35,memory-backend=memory', '-cpu', 'max', '-smp', '2', '-m', `${memory}M`],
        ...['-object', `memory-backend-memfd,id=memory,size=${memory}M,share=on`],
        ...['-accel', 'tcg,thread=multi,tb-size=512'],
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio', '-no-reboot', '-nic', 'none'],
        ...['-drive', `if=none,id=disk,file=${disk},file.locking=off,format=raw,snapshot=on,cache=unsafe`],
        ...['-device', 'virtio-blk-pci,drive=disk', '-device', 'virtio-rng-pci'],
        ...shares.flatMap(({ device }) => device),
        ...['-kernel', kernel, '-initrd', initrd, '-append'],
        [...parameters, ...kernelWords('mount -t virtiofs job')].join(' '),
      ],
      // Where the changes to the disk go.
      env: { TMPDIR: job },
    }
  },
})

// An emulated time stamp counter is calibrated wrongly where this machine is busy, and time then runs many times too fast.
const parameters = [
  ...[
    'root=/dev/vda',
    'rootfstype=ext4',
    'console=ttyS0',
    'no_timer_check',
    'tsc=unstable',
    'clocksource=hpet',
    'random.trust_cpu=1',
  ],
]
