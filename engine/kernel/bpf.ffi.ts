/** bpf(2): device programs of cgroup v2, loaded, attached, found and replaced. */
import { arch } from 'node:process'
import { close } from './descriptors.ffi.ts'
import { addressOf, declare, isErrno } from './libc.ffi.ts'

const cBpf = declare(
  'bpf',
  'long syscall(long number, int command, void *attributes, unsigned int size)',
  (_number, command) => `command ${command}`,
)
const SYS_BPF = arch === 'arm64' ? 280 : 321
const BPF_PROG_LOAD = 5
const BPF_PROG_ATTACH = 8
const BPF_PROG_DETACH = 9
const BPF_PROG_GET_FD_BY_ID = 13
const BPF_PROG_QUERY = 16
const BPF_PROG_TYPE_CGROUP_DEVICE = 15
const BPF_CGROUP_DEVICE = 6
const BPF_F_ALLOW_MULTI = 2
const BPF_F_REPLACE = 4

const attributes = (size: number, fill: (bytes: Buffer) => void): Buffer => {
  const bytes = Buffer.alloc(size)
  fill(bytes)
  return bytes
}
const bpf = (command: number, bytes: Buffer): number => cBpf(SYS_BPF, command, bytes, bytes.length)

/** A descriptor of the program. The verifier's own words are in the error when it refuses. */
export function loadDeviceProgram(program: Buffer): number {
  const license = Buffer.from('Apache\0')
  const log = Buffer.alloc(16384)
  const load = (verbose: boolean): number =>
    bpf(
      BPF_PROG_LOAD,
      attributes(72, (bytes) => {
        bytes.writeUInt32LE(BPF_PROG_TYPE_CGROUP_DEVICE, 0)
        bytes.writeUInt32LE(program.length / 8, 4)
        bytes.writeBigUInt64LE(addressOf(program), 8)
        bytes.writeBigUInt64LE(addressOf(license), 16)
        if (!verbose) return
        bytes.writeUInt32LE(1, 24)
        bytes.writeUInt32LE(log.length, 28)
        bytes.writeBigUInt64LE(addressOf(log), 32)
      }),
    )
  try {
    return load(false)
  } catch (error) {
    if (!isErrno(error, 'EINVAL', 'EACCES')) throw error
    try {
      return load(true)
    } catch (cause) {
      throw new Error(`bpf refused a device program: ${log.toString('latin1').split('\0')[0]}`, { cause })
    }
  }
}

/** Ids of the device programs attached to the group itself. */
export function attachedDevicePrograms(cgroup: number): number[] {
  const ids = Buffer.alloc(64 * 4)
  const query = attributes(64, (bytes) => {
    bytes.writeUInt32LE(cgroup, 0)
    bytes.writeUInt32LE(BPF_CGROUP_DEVICE, 4)
    bytes.writeBigUInt64LE(addressOf(ids), 16)
    bytes.writeUInt32LE(ids.length / 4, 24)
  })
  bpf(BPF_PROG_QUERY, query)
  return Array.from({ length: query.readUInt32LE(24) }, (_, index) => ids.readUInt32LE(index * 4))
}

const programById = (id: number): number =>
  bpf(
    BPF_PROG_GET_FD_BY_ID,
    attributes(16, (bytes) => bytes.writeUInt32LE(id, 0)),
  )

function attach(cgroup: number, program: number, flags: number, replaced: number): void {
  bpf(
    BPF_PROG_ATTACH,
    attributes(32, (bytes) => {
      bytes.writeUInt32LE(cgroup, 0)
      bytes.writeUInt32LE(program, 4)
      bytes.writeUInt32LE(BPF_CGROUP_DEVICE, 8)
      bytes.writeUInt32LE(flags, 12)
      bytes.writeUInt32LE(replaced, 16)
    }),
  )
}

function detach(cgroup: number, program: number): void {
  bpf(
    BPF_PROG_DETACH,
    attributes(32, (bytes) => {
      bytes.writeUInt32LE(cgroup, 0)
      bytes.writeUInt32LE(program, 4)
      bytes.writeUInt32LE(BPF_CGROUP_DEVICE, 8)
    }),
  )
}

/**
 * Makes `program` the group's only device program, without a moment in which none holds: all of a group must agree, so
 * one old program is exchanged, and of several the new one is added before the old ones go. `cgroup` is a descriptor
 * of a v2 directory; the kernel keeps the program for as long as the group exists.
 */
export function setDeviceProgram(cgroup: number, program: Buffer): void {
  const loaded = loadDeviceProgram(program)
  using cleanup = new DisposableStack()
  cleanup.defer(() => close(loaded))
  const old = attachedDevicePrograms(cgroup).map((id) => cleanup.adopt(programById(id), close))
  const [only] = old
  if (only !== undefined && old.length === 1) {
    attach(cgroup, loaded, BPF_F_ALLOW_MULTI | BPF_F_REPLACE, only)
    return
  }
  attach(cgroup, loaded, BPF_F_ALLOW_MULTI, 0)
  for (const program of old) detach(cgroup, program)
}
