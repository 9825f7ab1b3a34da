/** What runs where no file is named. */
import type { Mode } from './bed.ts'

/** Which files, and the minutes that they take on two processors. */
type Part = { files: readonly string[]; minutes: number }

export const everything = ['test/{kernel,engine,conformance,clients,vm}/**/*.test.ts']

export const whole: Readonly<Record<string, Partial<Record<Mode, Part>>>> = {
  uml: {
    plain: { files: everything, minutes: 50 },
    // A namespace in a namespace: what touches mounts, groups and users; names of services are the same in it.
    nested: { files: ['test/{kernel,conformance}/**/*.test.ts'], minutes: 30 },
  },
  // A tenth of the speed: only what user-mode Linux has no kernel for, and what needs systemd.
  qemu: {
    plain: {
      files: [
        'test/kernel/{cgroup-resources,init-ways,lifecycle,lifecycle-names,lifecycle-recovery,netlink,resolver}.test.ts',
        'test/engine/{answers,bad-input,faults-descriptors,faults-space,killed-daemon,networks}.test.ts',
        'test/engine/{start,store,userns-remap}.test.ts',
        'test/clients/{docker-cli,container-tools}.test.ts',
      ],
      minutes: 90,
    },
    systemd: {
      files: [
        'test/kernel/{cgroup,init-ways,exec-ways}.test.ts',
        'test/conformance/{runtime-systemd,runtime-image}.test.ts',
        'test/vm/{systemd-install,apparmor}.test.ts',
      ],
      minutes: 15,
    },
  },
}
