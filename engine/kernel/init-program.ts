/** The program that is a container's first process with `--init`, as a file's bytes: elf(5) around the code of a listing. */
import { type InitMachine, initListings } from './init-program.table.ts'

const fileHeaderSize = 64
const programHeaderSize = 56
const headersSize = fileHeaderSize + 2 * programHeaderSize

const ET_EXEC = 2
const EM_X86_64 = 62
const EM_AARCH64 = 183
const PT_LOAD = 1
const PT_GNU_STACK = 0x6474e551
const PF_X = 1
const PF_W = 2
const PF_R = 4

const machineNumber: Readonly<Record<InitMachine, number>> = { x64: EM_X86_64, arm64: EM_AARCH64 }

/** Where the linker puts programs, too: far above what vm.mmap_min_addr forbids. */
const loadAddress = 0x400000n
/** The largest page that one of the machines may have. */
const pageSize = 0x10000n

/** Whether there is code for a machine, as process.arch names it. */
export const isInitMachine = (machine: string): machine is InitMachine => Object.hasOwn(initListings, machine)

/** The bytes at the left of a listing's lines; labels have none. */
export const codeOf = (listing: string): Buffer =>
  Buffer.from(
    listing
      .split('\n')
      .filter((line) => line.startsWith('  '))
      .map((line) => (line.split('|')[0] ?? '').replaceAll(' ', ''))
      .join(''),
    'hex',
  )

/**
 * An executable file, static, of one segment; undefined for a machine that there is no code for.
 *
 * Called as `docker-init -- COMMAND ARGUMENT…` it runs the command, looked up in PATH as execvp(3) does, in a process group
 * of its own that owns the terminal, and stays: it reaps whatever the namespace's orphans leave, passes every signal on to
 * the command, and ends as the command does, with its exit code or 128 and the signal's number. A command that is not
 * found is 127, one that cannot be executed 126, nothing to run or no process to run it in 1, each with a sentence on
 * standard error.
 *
 * @param machine as process.arch names it
 */
export function initProgram(machine: string): Buffer | undefined {
  return isInitMachine(machine) ? executableFile(machine, codeOf(initListings[machine])) : undefined
}

/** A file of one segment that begins with `code`, which may have its own constants behind it. */
export function executableFile(machine: InitMachine, code: Buffer, address = loadAddress): Buffer {
  const size = BigInt(headersSize + code.length)
  return Buffer.concat([
    fileHeader(machineNumber[machine], address),
    programHeader({ type: PT_LOAD, flags: PF_R | PF_X, address, size, align: pageSize }),
    // Without it the kernel would have to guess whether the stack may be executed.
    programHeader({ type: PT_GNU_STACK, flags: PF_R | PF_W, address: 0n, size: 0n, align: 16n }),
    code,
  ])
}

/** Elf64_Ehdr: no sections, the entry right behind the headers. */
function fileHeader(machine: number, address: bigint): Buffer {
  const header = Buffer.alloc(fileHeaderSize)
  // Magic, ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE.
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0])
  header.writeUInt16LE(ET_EXEC, 16)
  header.writeUInt16LE(machine, 18)
  header.writeUInt32LE(1, 20)
  header.writeBigUInt64LE(address + BigInt(headersSize), 24)
  header.writeBigUInt64LE(BigInt(fileHeaderSize), 32)
  header.writeUInt16LE(fileHeaderSize, 52)
  header.writeUInt16LE(programHeaderSize, 54)
  header.writeUInt16LE(2, 56)
  return header
}

type Segment = { type: number; flags: number; address: bigint; size: bigint; align: bigint }

/** Elf64_Phdr: the file from its first byte, as many in memory as on disk. */
function programHeader({ type, flags, address, size, align }: Segment): Buffer {
  const header = Buffer.alloc(programHeaderSize)
  header.writeUInt32LE(type, 0)
  header.writeUInt32LE(flags, 4)
  header.writeBigUInt64LE(address, 16)
  header.writeBigUInt64LE(address, 24)
  header.writeBigUInt64LE(size, 32)
  header.writeBigUInt64LE(size, 40)
  header.writeBigUInt64LE(align, 48)
  return header
}
