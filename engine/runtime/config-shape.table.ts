/**
 * Which values config.json may hold; runtime-spec config.md, config-linux.md and the JSON schemas of its `schema` folder.
 * linux.seccomp's inside is checked where it becomes a program.
 */

export type Shape =
  /** `text` is a string without a NUL, which C would end it at; `line` has no newline either; `path` is absolute. */
  | 'text'
  | 'line'
  | 'path'
  | 'boolean'
  | 'object'
  | { readonly integer: readonly [least: number, most: number] }
  | { readonly oneOf: readonly string[] }
  | { readonly like: RegExp }
  | { readonly list: Shape }
  | { readonly map: Shape }
  | { readonly fields: Readonly<Record<string, Shape>>; readonly needed?: readonly string[] }

const _int32: Shape = { integer: [-(2 ** 31), 2 ** 31 - 1] }
const int64: Shape = { integer: [-(2 ** 63), 2 ** 63] }
const uint16: Shape = { integer: [0, 65535] }
const uint32: Shape = { integer: [0, 2 ** 32 - 1] }
const uint64: Shape = { integer: [0, 2 ** 64] }
const texts: Shape = { list: 'text' }

const idMappings: Shape = {
  list: {
    fields: { containerID: uint32, hostID: uint32, size: uint32 },
    needed: ['containerID', 'hostID', 'size'],
  },
}

const hooks: Shape = {
  list: {
    fields: { path: 'path', args: texts, env: texts, timeout: { integer: [1, 2 ** 31 - 1] } },
    needed: ['path'],
  },
}

const offset: Shape = { fields: { secs: int64, nanosecs: { integer: [0, 999_999_999] } } }

const throttles: Shape = {
  list: { fields: { major: int64, minor: int64, rate: uint64 }, needed: ['major', 'minor', 'rate'] },
}

const namespaceTypes = ['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time']

const propagations = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave', 'unbindable', 'runbindable', '']

/** Blanks are allowed in schema/config-schema.json. */
const processorList: Shape = { like: /^[0-9, -]*$/ }

const processShape: Shape = {
  fields: {
    terminal: 'boolean',
    consoleSize: { fields: { height: uint16, width: uint16 }, needed: ['height', 'width'] },
    user: {
      fields: {
        uid: { integer: [0, 2 ** 32 - 2] },
        gid: { integer: [0, 2 ** 32 - 2] },
        umask: { integer: [0, 0o777] },
        additionalGids: { list: { integer: [0, 2 ** 32 - 2] } },
      },
      needed: ['uid', 'gid'],
    },
    args: texts,
    env: texts,
    cwd: 'path',
    capabilities: {
      fields: { bounding: texts, effective: texts, inheritable: texts, permitted: texts, ambient: texts },
    },
    rlimits: {
      list: {
        fields: {
          type: {
            oneOf: [
              ...['AS', 'CORE', 'CPU', 'DATA', 'FSIZE', 'LOCKS', 'MEMLOCK', 'MSGQUEUE'],
              ...['NICE', 'NOFILE', 'NPROC', 'RSS', 'RTPRIO', 'RTTIME', 'SIGPENDING', 'STACK'],
            ].map((name) => `RLIMIT_${name}`),
          },
          // -1 is no limit to some that write configs, though the schema has no sign.
          hard: { integer: [-1, 2 ** 64] },
          soft: { integer: [-1, 2 ** 64] },
        },
        needed: ['type', 'hard', 'soft'],
      },
    },
    noNewPrivileges: 'boolean',
    apparmorProfile: 'line',
    selinuxLabel: 'line',
    oomScoreAdj: { integer: [-1000, 1000] },
    scheduler: {
      fields: {
        policy: {
          oneOf: ['OTHER', 'FIFO', 'RR', 'BATCH', 'ISO', 'IDLE', 'DEADLINE'].map((name) => `SCHED_${name}`),
        },
        nice: { integer: [-20, 19] },
        priority: { integer: [0, 99] },
        flags: {
          list: {
            oneOf: [
              ...['RESET_ON_FORK', 'RECLAIM', 'DL_OVERRUN', 'KEEP_POLICY', 'KEEP_PARAMS'],
              ...['UTIL_CLAMP_MIN', 'UTIL_CLAMP_MAX'],
            ].map((name) => `SCHED_FLAG_${name}`),
          },
        },
        runtime: uint64,
        deadline: uint64,
        period: uint64,
      },
      needed: ['policy'],
    },
    ioPriority: {
      fields: {
        class: { oneOf: ['IOPRIO_CLASS_RT', 'IOPRIO_CLASS_BE', 'IOPRIO_CLASS_IDLE'] },
        priority: { integer: [0, 7] },
      },
      needed: ['class'],
    },
    execCPUAffinity: { fields: { initial: processorList, final: processorList } },
  },
  needed: ['cwd', 'user'],
}

export const processConfigShape = processShape

export const resourcesShape: Shape = {
  fields: {
    devices: {
      list: {
        fields: {
          allow: 'boolean',
          type: { oneOf: ['a', 'b', 'c', ''] },
          major: int64,
          minor: int64,
          access: { like: /^[rwm]{0,3}$/ },
        },
        needed: ['allow'],
      },
    },
    memory: {
      fields: {
        limit: int64,
        reservation: int64,
        swap: int64,
        kernel: int64,
        kernelTCP: int64,
        swappiness: { integer: [0, 100] },
        disableOOMKiller: 'boolean',
        useHierarchy: 'boolean',
        checkBeforeUpdate: 'boolean',
      },
    },
    cpu: {
      fields: {
        shares: uint64,
        quota: int64,
        period: uint64,
        burst: uint64,
        idle: { integer: [0, 1] },
        realtimeRuntime: int64,
        realtimePeriod: uint64,
        cpus: processorList,
        mems: processorList,
      },
    },
    pids: { fields: { limit: int64 }, needed: ['limit'] },
    blockIO: {
      fields: {
        weight: uint16,
        leafWeight: uint16,
        weightDevice: {
          list: {
            fields: { major: int64, minor: int64, weight: uint16, leafWeight: uint16 },
            needed: ['major', 'minor'],
          },
        },
        throttleReadBpsDevice: throttles,
        throttleWriteBpsDevice: throttles,
        throttleReadIOPSDevice: throttles,
        throttleWriteIOPSDevice: throttles,
      },
    },
    hugepageLimits: {
      list: {
        fields: { pageSize: { like: /^[1-9][0-9]*[KMG]B$/ }, limit: uint64 },
        needed: ['pageSize', 'limit'],
      },
    },
    network: {
      fields: {
        classID: uint32,
        priorities: { list: { fields: { name: 'line', priority: uint32 }, needed: ['name', 'priority'] } },
      },
    },
    rdma: { map: { fields: { hcaHandles: uint32, hcaObjects: uint32 } } },
    unified: { map: 'text' },
  },
}

const linuxShape: Shape = {
  fields: {
    namespaces: {
      list: { fields: { type: { oneOf: namespaceTypes }, path: 'text' }, needed: ['type'] },
    },
    uidMappings: idMappings,
    gidMappings: idMappings,
    timeOffsets: { fields: { boottime: offset, monotonic: offset } },
    devices: {
      list: {
        fields: {
          type: { oneOf: ['c', 'b', 'u', 'p'] },
          path: 'path',
          major: { integer: [0, 2 ** 32 - 1] },
          minor: { integer: [0, 2 ** 32 - 1] },
          fileMode: uint32,
          uid: { integer: [0, 2 ** 32 - 2] },
          gid: { integer: [0, 2 ** 32 - 2] },
        },
        needed: ['type', 'path'],
      },
    },
    netDevices: { map: { fields: { name: 'line' } } },
    cgroupsPath: 'line',
    resources: resourcesShape,
    rootfsPropagation: { oneOf: propagations },
    seccomp: 'object',
    sysctl: { map: 'text' },
    maskedPaths: { list: 'path' },
    readonlyPaths: { list: 'path' },
    mountLabel: 'line',
    personality: { fields: { domain: { oneOf: ['LINUX', 'LINUX32'] }, flags: texts }, needed: ['domain'] },
    memoryPolicy: {
      fields: {
        mode: {
          oneOf: [
            ...['DEFAULT', 'BIND', 'INTERLEAVE', 'WEIGHTED_INTERLEAVE', 'PREFERRED', 'PREFERRED_MANY', 'LOCAL'],
          ].map((name) => `MPOL_${name}`),
        },
        nodes: processorList,
        flags: {
          list: { oneOf: ['MPOL_F_NUMA_BALANCING', 'MPOL_F_RELATIVE_NODES', 'MPOL_F_STATIC_NODES'] },
        },
      },
      needed: ['mode'],
    },
    intelRdt: {
      fields: {
        closID: 'line',
        schemata: { list: 'line' },
        l3CacheSchema: 'text',
        memBwSchema: { like: /^MB:[^\n]*$/ },
        enableMonitoring: 'boolean',
      },
    },
  },
}

export const configShape: Shape = {
  fields: {
    ociVersion: { like: /^1\.\d+\.\d+/ },
    hostname: 'line',
    domainname: 'line',
    root: { fields: { path: 'text', readonly: 'boolean' }, needed: ['path'] },
    process: processShape,
    mounts: {
      list: {
        fields: {
          destination: 'text',
          type: 'text',
          source: 'text',
          options: texts,
          uidMappings: idMappings,
          gidMappings: idMappings,
        },
        needed: ['destination'],
      },
    },
    hooks: {
      fields: Object.fromEntries(
        ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'].map((kind) => [
          kind,
          hooks,
        ]),
      ),
    },
    annotations: { map: 'text' },
    linux: linuxShape,
  },
  needed: ['ociVersion', 'root'],
}
