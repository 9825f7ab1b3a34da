/** For tests of what is made by a row of calls or by a fork: whom for, and how the fork is had. */
import type { OciProcess, OciSpec } from '../../engine/spec/oci.ts'

/** A row cannot do this, and it changes nothing. */
export const byFork: Partial<OciProcess> = { scheduler: { policy: 'SCHED_OTHER' } }

export const seccomp = (spec: OciSpec): void => {
  spec.linux!.seccomp = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['swapoff'], action: 'SCMP_ACT_ERRNO' }],
  }
}

export const users: Readonly<Record<string, Partial<OciProcess>>> = {
  root: { user: { uid: 0, gid: 0, umask: 0o027 }, noNewPrivileges: false, oomScoreAdj: 300 },
  'root without new privileges': { noNewPrivileges: true, cwd: '/tmp' },
  'an ordinary user in groups': {
    user: { uid: 1, gid: 2, additionalGids: [3, 4] },
    env: ['PATH=/no/such:/usr/bin', 'A=1', 'A=2'],
    rlimits: [
      { type: 'RLIMIT_NOFILE', soft: 64, hard: 128 },
      { type: 'RLIMIT_CORE', soft: 0, hard: 1 },
    ],
  },
  'a user with ambient capabilities': {
    user: { uid: 1, gid: 1 },
    noNewPrivileges: false,
    capabilities: {
      bounding: ['CAP_CHOWN', 'CAP_KILL'],
      permitted: ['CAP_KILL'],
      effective: ['CAP_KILL'],
      inheritable: ['CAP_KILL'],
      ambient: ['CAP_KILL'],
    },
  },
}
