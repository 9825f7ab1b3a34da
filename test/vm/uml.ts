/**
 * User-mode Linux: a kernel that is a process. It boots in a second and runs at nearly the machine's own speed, with one
 * processor and without cpuset, pressure, nf_tables for IPv4 and address translation.
 */
import { type Bed, kernelWords } from './bed.ts'
import type { Guest, UmlKernel } from './guest.ts'

export const uml = (kernel: UmlKernel, { disk }: Guest): Bed => ({
  name: 'uml',
  modes: ['plain', 'nested'],
  settings: { modules: kernel.modules },
  start: (job) => ({
    command: [
      kernel.program,
      ...['mem=2048M', `uml_dir=${job}`, `ubd0=${job}/changes,${disk}`, 'root=/dev/ubda'],
      ...['con0=fd:0,fd:1', 'con=null'],
      // Without it kernels from 6.16 on trace every system call of the guest, which is slower by far.
      'seccomp=on',
      // Debian's has several, and SELinux first.
      'security=apparmor',
      // Node's forks and io_uring's worker threads together corrupt memory there.
      'sysctl.kernel.io_uring_disabled=2',
      ...kernelWords(`mount -t hostfs -o hostfs=${job} none`),
    ],
    // Its memory is a file, which has to be executable.
    env: { TMPDIR: '/dev/shm', LD_LIBRARY_PATH: kernel.libraries },
    // The loader is named relative to here.
    directory: kernel.libraries,
  }),
})
