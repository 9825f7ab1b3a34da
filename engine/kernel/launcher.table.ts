/**
 * The machine code of the program that starts the runtime's command line, as assembly listings; what it does is told at
 * launcherProgram (launcher.ts), how to read them in init-program.table.ts. Behind the code lies what the launcher was made
 * for: five 32-bit numbers (where the program's name is, where the words for a failure are, how many bytes they have, how
 * many arguments come first, where an image's name is or 0), then where each of those arguments is; places count from
 * there, texts end with a null. What is in an image is told in process-image.ts; there are none for arm64.
 *
 * Kernel interface: open_tree(2), mount_setattr(2), execveat(2), fcntl(2), mmap(2), mremap(2), PR_SET_MM(2const).
 */
import type { InitMachine } from './init-program.table.ts'

/** By Node's name of the processor. */
export const launcherListings: Readonly<Record<InitMachine, string>> = {
  x64: `
start:
  4c 8b 24 24                         | mov r12, [rsp] # r12: argc
  4c 8d 6c 24 08                      | lea r13, [rsp+8] # r13: argv
  4b 8d 5c e5 08                      | lea rbx, [r13+r12*8+8] # rbx: the environment, behind the null that ends argv
  48 8d 2d 47 05 00 00                | lea rbp, [rip+data] # rbp: what this launcher was made for
  41 be 02 00 00 00                   | mov r14d, 2
count:
  41 ff c6                            | inc r14d
  41 81 fe ea 03 00 00                | cmp r14d, 1002
  74 13                               | je counted
  44 89 f7                            | mov edi, r14d
  be 01 00 00 00                      | mov esi, 1 # F_GETFD
  b8 48 00 00 00                      | mov eax, 72 # fcntl: how many descriptors from 3 on are the caller's
  0f 05                               | syscall
  85 c0                               | test eax, eax
  79 e1                               | jns count
counted:
  41 8d 46 fd                         | lea eax, [r14-3]
  6a 00                               | push 0
  4c 8d 74 24 07                      | lea r14, [rsp+7] # r14: the number as text, written from its end
  b9 0a 00 00 00                      | mov ecx, 10
digit:
  31 d2                               | xor edx, edx
  f7 f1                               | div ecx
  80 c2 30                            | add dl, 0x30
  49 ff ce                            | dec r14
  41 88 16                            | mov [r14], dl
  85 c0                               | test eax, eax
  75 ef                               | jnz digit
  48 c7 c7 9c ff ff ff                | mov rdi, -100 # AT_FDCWD
  8b 75 00                            | mov esi, [rbp]
  48 01 ee                            | add rsi, rbp
  ba 01 00 08 00                      | mov edx, 0x80001 # OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC
  b8 ac 01 00 00                      | mov eax, 428 # open_tree: the program on a mount of its own, which no namespace shows
  0f 05                               | syscall
  41 89 c7                            | mov r15d, eax # r15: that mount, or a negative number
  85 c0                               | test eax, eax
  78 2f                               | js environment
  6a 00                               | push 0
  6a 00                               | push 0
  6a 00                               | push 0
  6a 01                               | push 1 # MOUNT_ATTR_RDONLY
  44 89 ff                            | mov edi, r15d
  48 8d 74 24 08                      | lea rsi, [rsp+8] # an empty path
  ba 00 10 00 00                      | mov edx, 0x1000 # AT_EMPTY_PATH
  49 89 e2                            | mov r10, rsp
  41 b8 20 00 00 00                   | mov r8d, 32
  b8 ba 01 00 00                      | mov eax, 442 # mount_setattr: whoever finds it in /proc cannot write it
  0f 05                               | syscall
  85 c0                               | test eax, eax
  79 06                               | jns environment
  41 bf ff ff ff ff                   | mov r15d, -1
environment:
  48 89 d8                            | mov rax, rbx
last:
  48 83 38 00                         | cmp qword ptr [rax], 0
  74 06                               | je copy
  48 83 c0 08                         | add rax, 8
  eb f4                               | jmp last
copy:
  6a 00                               | push 0
variable:
  48 39 d8                            | cmp rax, rbx
  74 18                               | je copied
  48 83 e8 08                         | sub rax, 8
  48 8b 38                            | mov rdi, [rax]
  81 3f 4e 4f 44 45                   | cmp dword ptr [rdi], 0x45444f4e # "NODE": what is meant for other programs that run on it
  75 06                               | jne keep
  80 7f 04 5f                         | cmp byte ptr [rdi+4], 0x5f # "_"
  74 e6                               | je variable
keep:
  57                                  | push rdi
  eb e3                               | jmp variable
copied:
  48 89 e3                            | mov rbx, rsp # rbx: the environment without them
  8b 45 10                            | mov eax, [rbp+16]
  85 c0                               | test eax, eax
  0f 84 d6 03 00 00                   | jz start_program # no image was ever meant to be
  45 85 ff                            | test r15d, r15d
  0f 88 cd 03 00 00                   | js start_program # what could not be sealed is not restored, either
  41 54                               | push r12
  41 55                               | push r13
  48 81 ec 00 02 00 00                | sub rsp, 512 # 0 descriptors, 128 struct stat, 272 the boot's name, 320 struct prctl_mm_map, 432 a path, 504 the vdso
  48 8d 7c 05 00                      | lea rdi, [rbp+rax]
  be 00 00 0a 00                      | mov esi, 0xa0000 # O_CLOEXEC, O_NOFOLLOW
  b8 02 00 00 00                      | mov eax, 2 # open: the image
  0f 05                               | syscall
  89 04 24                            | mov [rsp], eax
  85 c0                               | test eax, eax
  0f 88 9b 03 00 00                   | js unrestored
  89 c7                               | mov edi, eax
  48 8d b4 24 80 00 00 00             | lea rsi, [rsp+128]
  b8 05 00 00 00                      | mov eax, 5 # fstat
  0f 05                               | syscall
  85 c0                               | test eax, eax
  0f 85 82 03 00 00                   | jnz unrestored
  83 bc 24 9c 00 00 00 00             | cmp dword ptr [rsp+156], 0 # st_uid: only root's
  0f 85 74 03 00 00                   | jne unrestored
  f7 84 24 98 00 00 00 12 00 00 00    | test dword ptr [rsp+152], 0x12 # st_mode: and nobody else's to write
  0f 85 63 03 00 00                   | jnz unrestored
  48 81 bc 24 b0 00 00 00 00 00 01 00 | cmp qword ptr [rsp+176], 0x10000 # st_size
  0f 82 51 03 00 00                   | jb unrestored
  bf 00 00 10 00                      | mov edi, 0x100000
  be 00 00 01 00                      | mov esi, 0x10000
  ba 01 00 00 00                      | mov edx, 1 # PROT_READ
  41 ba 02 00 10 00                   | mov r10d, 0x100002 # MAP_FIXED_NOREPLACE, MAP_PRIVATE
  44 8b 04 24                         | mov r8d, [rsp]
  45 31 c9                            | xor r9d, r9d
  b8 09 00 00 00                      | mov eax, 9 # mmap: the image's head
  0f 05                               | syscall
  48 39 f8                            | cmp rax, rdi
  0f 85 25 03 00 00                   | jne unrestored
  49 89 c4                            | mov r12, rax # r12: the head
  48 b8 44 4f 43 4b 49 4d 47 31       | mov rax, 0x31474d494b434f44 # "DOCKIMG1"
  49 39 04 24                         | cmp [r12], rax
  0f 85 0e 03 00 00                   | jne unrestored
  48 8d 3d 92 03 00 00                | lea rdi, [rip+boot]
  be 00 00 08 00                      | mov esi, 0x80000
  b8 02 00 00 00                      | mov eax, 2 # open
  0f 05                               | syscall
  89 c7                               | mov edi, eax
  85 c0                               | test eax, eax
  0f 88 f1 02 00 00                   | js unrestored
  48 8d b4 24 10 01 00 00             | lea rsi, [rsp+272]
  ba 24 00 00 00                      | mov edx, 36
  31 c0                               | xor eax, eax # read: this boot of the machine, for the kernel's own pages are part of an image
  0f 05                               | syscall
  b8 03 00 00 00                      | mov eax, 3 # close
  0f 05                               | syscall
  48 8d b4 24 10 01 00 00             | lea rsi, [rsp+272]
  49 8d 7c 24 08                      | lea rdi, [r12+8]
  b9 24 00 00 00                      | mov ecx, 36
  f3 a6                               | repe cmpsb
  0f 85 bf 02 00 00                   | jne unrestored
  44 89 f8                            | mov eax, r15d
  48 8d bc 24 e0 01 00 00             | lea rdi, [rsp+480]
  c6 07 00                            | mov byte ptr [rdi], 0
  b9 0a 00 00 00                      | mov ecx, 10
link:
  31 d2                               | xor edx, edx
  f7 f1                               | div ecx
  80 c2 30                            | add dl, 0x30
  48 ff cf                            | dec rdi
  88 17                               | mov [rdi], dl
  85 c0                               | test eax, eax
  75 f0                               | jnz link
  48 b8 73 65 6c 66 2f 66 64 2f       | mov rax, 0x2f64662f666c6573 # "self/fd/"
  48 89 47 f8                         | mov [rdi-8], rax
  48 b8 2f 70 72 6f 63 2f 73 65       | mov rax, 0x65732f636f72702f # "/proc/se"
  48 89 47 f2                         | mov [rdi-14], rax
  48 83 ef 0e                         | sub rdi, 14 # the first file is the program, on the mount of its own
  4c 8d 44 24 04                      | lea r8, [rsp+4]
  45 8b 6c 24 2c                      | mov r13d, [r12+44]
  4d 8d 8c 24 c0 00 00 00             | lea r9, [r12+192] # r9: the files, then the segments, then the kernel's pages, then what is busy
  eb 06                               | jmp open
file:
  49 8b 39                            | mov rdi, [r9]
  4c 01 e7                            | add rdi, r12
open:
  be 00 00 08 00                      | mov esi, 0x80000
  b8 02 00 00 00                      | mov eax, 2 # open
  0f 05                               | syscall
  41 89 00                            | mov [r8], eax
  85 c0                               | test eax, eax
  0f 88 4b 02 00 00                   | js unrestored
  89 c7                               | mov edi, eax
  48 8d b4 24 80 00 00 00             | lea rsi, [rsp+128]
  b8 05 00 00 00                      | mov eax, 5 # fstat
  0f 05                               | syscall
  85 c0                               | test eax, eax
  0f 85 32 02 00 00                   | jnz unrestored
  48 8d b4 24 80 00 00 00             | lea rsi, [rsp+128]
  49 8d 79 08                         | lea rdi, [r9+8]
  b9 02 00 00 00                      | mov ecx, 2
  f3 48 a7                            | repe cmpsq # st_dev, st_ino
  0f 85 18 02 00 00                   | jne unrestored
  48 8b 84 24 b0 00 00 00             | mov rax, [rsp+176]
  48 3b 07                            | cmp rax, [rdi] # st_size
  0f 85 07 02 00 00                   | jne unrestored
  48 83 c7 08                         | add rdi, 8
  48 8d b4 24 d8 00 00 00             | lea rsi, [rsp+216]
  b9 04 00 00 00                      | mov ecx, 4
  f3 48 a7                            | repe cmpsq # st_mtim, st_ctim
  0f 85 ed 01 00 00                   | jne unrestored
  49 83 c0 04                         | add r8, 4
  49 83 c1 40                         | add r9, 64
  41 ff cd                            | dec r13d
  0f 85 74 ff ff ff                   | jnz file
  45 89 38                            | mov [r8], r15d # closed with the files
  4d 89 cd                            | mov r13, r9 # r13: the segments
  49 8d 74 24 50                      | lea rsi, [r12+80]
  48 8d bc 24 40 01 00 00             | lea rdi, [rsp+320]
  b9 0d 00 00 00                      | mov ecx, 13
  f3 48 a5                            | rep movsq
  48 89 a4 24 70 01 00 00             | mov [rsp+368], rsp # start_stack
  8b 44 24 04                         | mov eax, [rsp+4]
  89 84 24 a4 01 00 00                | mov [rsp+420], eax # exe_fd
  48 8b 84 24 08 02 00 00             | mov rax, [rsp+520]
  48 8b 94 24 00 02 00 00             | mov rdx, [rsp+512]
  85 c0                               | test eax, eax
  0f 84 96 01 00 00                   | jz unrestored
  48 8b 0a                            | mov rcx, [rdx]
  48 89 8c 24 78 01 00 00             | mov [rsp+376], rcx # arg_start
  4c 8d 04 c2                         | lea r8, [rdx+rax*8] # r8: the null behind argv
  31 c0                               | xor eax, eax
  49 8b 78 f8                         | mov rdi, [r8-8]
  48 83 c9 ff                         | or rcx, -1
  f2 ae                               | repne scasb
  48 89 bc 24 80 01 00 00             | mov [rsp+384], rdi # arg_end
  48 89 bc 24 88 01 00 00             | mov [rsp+392], rdi # env_start
string:
  48 89 bc 24 90 01 00 00             | mov [rsp+400], rdi # env_end
  49 83 c0 08                         | add r8, 8
  49 8b 38                            | mov rdi, [r8]
  48 85 ff                            | test rdi, rdi
  74 08                               | jz auxiliary
  48 83 c9 ff                         | or rcx, -1
  f2 ae                               | repne scasb
  eb e4                               | jmp string
auxiliary:
  49 8b 40 08                         | mov rax, [r8+8]
  49 8b 50 10                         | mov rdx, [r8+16]
  49 83 c0 10                         | add r8, 16
  85 c0                               | test eax, eax
  0f 84 3b 01 00 00                   | jz unrestored # AT_NULL: a kernel without these pages
  83 f8 21                            | cmp eax, 33 # AT_SYSINFO_EHDR
  75 e7                               | jne auxiliary
  48 89 94 24 f8 01 00 00             | mov [rsp+504], rdx
  bf 23 00 00 00                      | mov edi, 35 # PR_SET_MM
  be 0e 00 00 00                      | mov esi, 14 # PR_SET_MM_MAP
  48 8d 94 24 40 01 00 00             | lea rdx, [rsp+320]
  41 ba 68 00 00 00                   | mov r10d, 104
  45 31 c0                            | xor r8d, r8d
  b8 9d 00 00 00                      | mov eax, 157 # prctl: refused while this program is mapped, and otherwise to who has not the right
  0f 05                               | syscall
  83 f8 f0                            | cmp eax, -16 # EBUSY
  0f 85 03 01 00 00                   | jne unrestored
  45 8b 44 24 30                      | mov r8d, [r12+48]
segment:
  44 89 84 24 b0 01 00 00             | mov [rsp+432], r8d
  49 8b 7d 00                         | mov rdi, [r13]
  49 8b 75 08                         | mov rsi, [r13+8]
  41 8b 55 10                         | mov edx, [r13+16]
  45 8b 55 14                         | mov r10d, [r13+20]
  41 8b 45 18                         | mov eax, [r13+24]
  44 8b 04 84                         | mov r8d, [rsp+rax*4]
  4d 8b 4d 20                         | mov r9, [r13+32]
  b8 09 00 00 00                      | mov eax, 9 # mmap: where nothing is; what is there by chance is told by EEXIST
  0f 05                               | syscall
  48 39 f8                            | cmp rax, rdi
  0f 85 ca 00 00 00                   | jne unrestored
  49 83 c5 28                         | add r13, 40
  44 8b 84 24 b0 01 00 00             | mov r8d, [rsp+432]
  41 ff c8                            | dec r8d
  75 bb                               | jnz segment
  41 8b 44 24 34                      | mov eax, [r12+52]
page:
  89 84 24 b0 01 00 00                | mov [rsp+432], eax
  49 8b 7d 00                         | mov rdi, [r13]
  49 8b 75 08                         | mov rsi, [r13+8]
  31 d2                               | xor edx, edx # PROT_NONE
  41 ba 22 00 10 00                   | mov r10d, 0x100022 # MAP_FIXED_NOREPLACE, MAP_ANONYMOUS, MAP_PRIVATE
  49 83 c8 ff                         | or r8, -1
  45 31 c9                            | xor r9d, r9d
  b8 09 00 00 00                      | mov eax, 9 # mmap: whether the place is free
  0f 05                               | syscall
  48 39 f8                            | cmp rax, rdi
  0f 85 86 00 00 00                   | jne unrestored
  49 89 f8                            | mov r8, rdi
  48 8b bc 24 f8 01 00 00             | mov rdi, [rsp+504]
  49 03 7d 10                         | add rdi, [r13+16]
  48 89 f2                            | mov rdx, rsi
  41 ba 03 00 00 00                   | mov r10d, 3 # MREMAP_MAYMOVE, MREMAP_FIXED
  b8 19 00 00 00                      | mov eax, 25 # mremap: the vdso goes where the image's program knows it
  0f 05                               | syscall
  4c 39 c0                            | cmp rax, r8
  75 62                               | jne unrestored
  49 83 c5 18                         | add r13, 24
  8b 84 24 b0 01 00 00                | mov eax, [rsp+432]
  ff c8                               | dec eax
  75 9f                               | jnz page
  41 8b 44 24 48                      | mov eax, [r12+72]
busy:
  85 c0                               | test eax, eax
  74 29                               | jz begin
  89 84 24 b0 01 00 00                | mov [rsp+432], eax
  49 8b 7d 00                         | mov rdi, [r13]
  41 8b 75 08                         | mov esi, [r13+8]
  41 8b 55 0c                         | mov edx, [r13+12]
  b8 1c 00 00 00                      | mov eax, 28 # madvise: pages that are going to be used, many at once rather than one by one; not every kernel can
  0f 05                               | syscall
  49 83 c5 10                         | add r13, 16
  8b 84 24 b0 01 00 00                | mov eax, [rsp+432]
  ff c8                               | dec eax
  eb d3                               | jmp busy
begin:
  49 8b 7c 24 40                      | mov rdi, [r12+64]
  48 89 de                            | mov rsi, rbx
  48 8d 94 24 40 01 00 00             | lea rdx, [rsp+320]
  49 89 e0                            | mov r8, rsp
  45 8b 4c 24 2c                      | mov r9d, [r12+44]
  41 83 c1 02                         | add r9d, 2
  41 ff 64 24 38                      | jmp qword ptr [r12+56] # resume, of process-image.table.ts
unrestored:
  48 81 c4 00 02 00 00                | add rsp, 512
  41 5d                               | pop r13
  41 5c                               | pop r12
start_program:
  6a 00                               | push 0
argument:
  49 83 fc 01                         | cmp r12, 1
  7e 0a                               | jle arguments
  49 ff cc                            | dec r12
  43 ff 74 e5 00                      | push qword ptr [r13+r12*8]
  eb f0                               | jmp argument
arguments:
  41 56                               | push r14
  41 ff 75 00                         | push qword ptr [r13] # what the program was called
  8b 4d 0c                            | mov ecx, [rbp+12]
first:
  ff c9                               | dec ecx
  78 0a                               | js execute
  8b 44 8d 14                         | mov eax, [rbp+20+rcx*4]
  48 01 e8                            | add rax, rbp
  50                                  | push rax
  eb f2                               | jmp first
execute:
  49 89 e4                            | mov r12, rsp
  45 85 ff                            | test r15d, r15d
  78 1b                               | js plainly
  6a 00                               | push 0
  44 89 ff                            | mov edi, r15d
  48 89 e6                            | mov rsi, rsp
  4c 89 e2                            | mov rdx, r12
  49 89 da                            | mov r10, rbx
  41 b8 00 10 00 00                   | mov r8d, 0x1000
  b8 42 01 00 00                      | mov eax, 322 # execveat
  0f 05                               | syscall
plainly:
  8b 7d 00                            | mov edi, [rbp]
  48 01 ef                            | add rdi, rbp
  4c 89 e6                            | mov rsi, r12
  48 89 da                            | mov rdx, rbx
  b8 3b 00 00 00                      | mov eax, 59 # execve: where mounts are denied, the program's owner is whoever runs this
  0f 05                               | syscall
  bf 02 00 00 00                      | mov edi, 2
  8b 75 04                            | mov esi, [rbp+4]
  48 01 ee                            | add rsi, rbp
  8b 55 08                            | mov edx, [rbp+8]
  b8 01 00 00 00                      | mov eax, 1 # write: why nothing happens
  0f 05                               | syscall
  bf 01 00 00 00                      | mov edi, 1
  b8 e7 00 00 00                      | mov eax, 231 # exit_group
  0f 05                               | syscall
boot:
  2f 70 72 6f 63 2f 73 79 73 2f 6b 65 72 6e 65 6c 2f 72 61 6e 64 6f 6d 2f 62 6f 6f 74 5f 69 64 00
.asciz "/proc/sys/kernel/random/boot_id"
data:
`,
  arm64: `
start:
  f3 03 40 f9 | ldr x19, [sp] # x19: argc
  f4 23 00 91 | add x20, sp, #8 # x20: argv
  95 0e 13 8b | add x21, x20, x19, lsl #3
  b5 22 00 91 | add x21, x21, #8 # x21: the environment, behind the null that ends argv
  96 0d 00 10 | adr x22, data # x22: what this launcher was made for
  57 00 80 52 | mov w23, #2
count:
  f7 06 00 11 | add w23, w23, #1
  ff aa 0f 71 | cmp w23, #1002
  c0 00 00 54 | b.eq counted
  e0 03 17 2a | mov w0, w23
  21 00 80 d2 | mov x1, #1 # F_GETFD
  28 03 80 d2 | mov x8, #25 # fcntl: how many descriptors from 3 on are the caller's
  01 00 00 d4 | svc #0
  20 ff ff 36 | tbz w0, #31, count
counted:
  e0 0e 00 51 | sub w0, w23, #3
  ff 7f bf a9 | stp xzr, xzr, [sp, #-16]!
  f7 3f 00 91 | add x23, sp, #15 # x23: the number as text, written from its end
  41 01 80 52 | mov w1, #10
digit:
  02 08 c1 1a | udiv w2, w0, w1
  43 80 01 1b | msub w3, w2, w1, w0
  63 c0 00 11 | add w3, w3, #0x30
  e3 fe 1f 38 | strb w3, [x23, #-1]!
  e0 03 02 2a | mov w0, w2
  60 ff ff 35 | cbnz w0, digit
  60 0c 80 92 | mov x0, #-100 # AT_FDCWD
  c1 02 40 b9 | ldr w1, [x22]
  c1 02 01 8b | add x1, x22, x1
  22 00 80 52 | mov w2, #1
  02 01 a0 72 | movk w2, #8, lsl #16 # OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC
  88 35 80 d2 | mov x8, #428 # open_tree: the program on a mount of its own, which no namespace shows
  01 00 00 d4 | svc #0
  f8 03 00 2a | mov w24, w0 # w24: that mount, or a negative number
  a0 01 f8 37 | tbnz w0, #31, environment
  ff 7f bf a9 | stp xzr, xzr, [sp, #-16]!
  20 00 80 d2 | mov x0, #1 # MOUNT_ATTR_RDONLY
  e0 7f bf a9 | stp x0, xzr, [sp, #-16]!
  e0 03 18 2a | mov w0, w24
  e1 23 00 91 | add x1, sp, #8 # an empty path
  02 00 82 d2 | mov x2, #0x1000 # AT_EMPTY_PATH
  e3 03 00 91 | mov x3, sp
  04 04 80 d2 | mov x4, #32
  48 37 80 d2 | mov x8, #442 # mount_setattr: whoever finds it in /proc cannot write it
  01 00 00 d4 | svc #0
  40 00 f8 36 | tbz w0, #31, environment
  18 00 80 12 | mov w24, #-1
environment:
  e0 03 15 aa | mov x0, x21
last:
  01 84 40 f8 | ldr x1, [x0], #8
  e1 ff ff b5 | cbnz x1, last
  01 00 15 cb | sub x1, x0, x21
  21 3c 00 91 | add x1, x1, #15
  21 ec 7c 92 | and x1, x1, #-16
  ff 63 21 cb | sub sp, sp, x1 # room for all of it
  e0 03 00 91 | mov x0, sp
  c3 e9 89 52 | mov w3, #0x4f4e
  83 a8 a8 72 | movk w3, #0x4544, lsl #16 # "NODE": what is meant for other programs that run on it
variable:
  a1 86 40 f8 | ldr x1, [x21], #8
  21 01 00 b4 | cbz x1, copied
  22 00 40 b9 | ldr w2, [x1]
  5f 00 03 6b | cmp w2, w3
  81 00 00 54 | b.ne keep
  22 10 40 39 | ldrb w2, [x1, #4]
  5f 7c 01 71 | cmp w2, #0x5f # "_"
  20 ff ff 54 | b.eq variable
keep:
  01 84 00 f8 | str x1, [x0], #8
  f7 ff ff 17 | b variable
copied:
  1f 00 00 f9 | str xzr, [x0]
  f5 03 00 91 | mov x21, sp # x21: the environment without them
  c1 0e 40 b9 | ldr w1, [x22, #12]
  60 02 01 8b | add x0, x19, x1
  00 0c 00 91 | add x0, x0, #3
  00 f0 7d d3 | lsl x0, x0, #3
  00 3c 00 91 | add x0, x0, #15
  00 ec 7c 92 | and x0, x0, #-16
  ff 63 20 cb | sub sp, sp, x0 # room for the arguments
  e0 03 00 91 | mov x0, sp
  c4 52 00 91 | add x4, x22, #20
first:
  c1 00 00 34 | cbz w1, named
  82 44 40 b8 | ldr w2, [x4], #4
  c2 02 02 8b | add x2, x22, x2
  02 84 00 f8 | str x2, [x0], #8
  21 04 00 51 | sub w1, w1, #1
  fb ff ff 17 | b first
named:
  82 86 40 f8 | ldr x2, [x20], #8 # what the program was called
  02 5c 81 a8 | stp x2, x23, [x0], #16
argument:
  82 86 40 f8 | ldr x2, [x20], #8
  02 84 00 f8 | str x2, [x0], #8
  c2 ff ff b5 | cbnz x2, argument
  f3 03 00 91 | mov x19, sp
  38 01 f8 37 | tbnz w24, #31, plainly
  ff 0f 1f f8 | str xzr, [sp, #-16]!
  e0 03 18 2a | mov w0, w24
  e1 03 00 91 | mov x1, sp
  e2 03 13 aa | mov x2, x19
  e3 03 15 aa | mov x3, x21
  04 00 82 d2 | mov x4, #0x1000
  28 23 80 d2 | mov x8, #281 # execveat
  01 00 00 d4 | svc #0
plainly:
  c0 02 40 b9 | ldr w0, [x22]
  c0 02 00 8b | add x0, x22, x0
  e1 03 13 aa | mov x1, x19
  e2 03 15 aa | mov x2, x21
  a8 1b 80 d2 | mov x8, #221 # execve: where mounts are denied, the program's owner is whoever runs this
  01 00 00 d4 | svc #0
  40 00 80 d2 | mov x0, #2
  c1 06 40 b9 | ldr w1, [x22, #4]
  c1 02 01 8b | add x1, x22, x1
  c2 0a 40 b9 | ldr w2, [x22, #8]
  08 08 80 d2 | mov x8, #64 # write: why nothing happens
  01 00 00 d4 | svc #0
  20 00 80 d2 | mov x0, #1
  c8 0b 80 d2 | mov x8, #94 # exit_group
  01 00 00 d4 | svc #0
data:
`,
}
