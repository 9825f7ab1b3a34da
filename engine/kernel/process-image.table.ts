/**
 * The machine code of a process that is kept and begun again (process-image.ffi.ts), as assembly listings; how to read
 * them is told in init-program.table.ts. Only for x86-64: the kernel's own pages and the thread's registers differ.
 *
 * Both share a state of four words of 64 bits: the stack pointer, the thread's base (FS), what PR_SET_MM_MAP answered,
 * and where `environ` is. `still`, in C `long still(struct state *, int fd)`, writes down where it is, writes a byte
 * to the descriptor and sleeps for good: who reads that byte finds a memory that does not change any more. `resume` is
 * where the launcher (launcher.table.ts) goes with that memory in its place: rdi has the state, rsi the environment, rdx
 * a struct prctl_mm_map, r8 a list of r9 descriptors that are done with. It returns 1, as if from `still`.
 *
 * Kernel interface: arch_prctl(2), munmap(2), PR_SET_MM(2const).
 */

export const stillListing = `
still:
  53             | push rbx
  55             | push rbp
  41 54          | push r12
  41 55          | push r13
  41 56          | push r14
  41 57          | push r15
  48 83 ec 08    | sub rsp, 8
  0f ae 1c 24    | stmxcsr [rsp]
  d9 7c 24 04    | fnstcw [rsp+4]
  48 89 27       | mov [rdi], rsp
  48 89 fb       | mov rbx, rdi # rbx: the state
  41 89 f4       | mov r12d, esi # r12d: who waits for this
  48 8d 77 08    | lea rsi, [rdi+8]
  bf 03 10 00 00 | mov edi, 0x1003 # ARCH_GET_FS
  b8 9e 00 00 00 | mov eax, 158 # arch_prctl
  0f 05          | syscall
  44 89 e7       | mov edi, r12d
  48 89 de       | mov rsi, rbx
  ba 01 00 00 00 | mov edx, 1
  b8 01 00 00 00 | mov eax, 1 # write: from here on nothing changes
  0f 05          | syscall
wait:
  b8 22 00 00 00 | mov eax, 34 # pause
  0f 05          | syscall
  eb f7          | jmp wait
`

export const resumeListing = `
resume:
  48 89 fb          | mov rbx, rdi # rbx: the state
  48 89 f5          | mov rbp, rsi # rbp: the environment
  49 89 d4          | mov r12, rdx # r12: struct prctl_mm_map
  4d 89 c5          | mov r13, r8 # r13: descriptors
  45 89 ce          | mov r14d, r9d # r14d: how many
  bf 00 00 10 00    | mov edi, 0x100000
  be 00 00 20 00    | mov esi, 0x200000
  b8 0b 00 00 00    | mov eax, 11 # munmap: the head and the launcher, which nobody needs any more
  0f 05             | syscall
  bf 23 00 00 00    | mov edi, 35 # PR_SET_MM
  be 0e 00 00 00    | mov esi, 14 # PR_SET_MM_MAP
  4c 89 e2          | mov rdx, r12
  41 ba 68 00 00 00 | mov r10d, 104
  45 31 c0          | xor r8d, r8d
  b8 9d 00 00 00    | mov eax, 157 # prctl: /proc/self/exe is the program, on its read-only mount
  0f 05             | syscall
  48 89 43 10       | mov [rbx+16], rax
close:
  41 ff ce          | dec r14d
  78 0e             | js closed
  43 8b 7c b5 00    | mov edi, [r13+r14*4]
  b8 03 00 00 00    | mov eax, 3 # close
  0f 05             | syscall
  eb ed             | jmp close
closed:
  48 8b 43 18       | mov rax, [rbx+24]
  48 89 28          | mov [rax], rbp # environ
  48 8b 73 08       | mov rsi, [rbx+8]
  bf 02 10 00 00    | mov edi, 0x1002 # ARCH_SET_FS
  b8 9e 00 00 00    | mov eax, 158 # arch_prctl: thread-local variables are the image's
  0f 05             | syscall
  48 8b 23          | mov rsp, [rbx]
  0f ae 14 24       | ldmxcsr [rsp]
  d9 6c 24 04       | fldcw [rsp+4]
  48 83 c4 08       | add rsp, 8
  41 5f             | pop r15
  41 5e             | pop r14
  41 5d             | pop r13
  41 5c             | pop r12
  5d                | pop rbp
  5b                | pop rbx
  b8 01 00 00 00    | mov eax, 1
  c3                | ret
`
