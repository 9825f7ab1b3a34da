/**
 * The machine code of the program that starts the runtime's command line, as assembly listings; what it does is told at
 * launcherProgram (launcher.ts), how to read them in init-program.table.ts. Behind the code lies what the launcher was made
 * for: four 32-bit numbers (where the program's name is, where the words for a failure are, how many bytes they have, how
 * many arguments come first), then where each of those arguments is; places count from there, texts end with a null.
 *
 * Kernel interface: open_tree(2), mount_setattr(2), execveat(2), fcntl(2).
 */
import type { InitMachine } from './init-program.table.ts'

/** By Node's name of the processor. */
export const launcherListings: Readonly<Record<InitMachine, string>> = {
  x64: `
start:
  4c 8b 24 24          | mov r12, [rsp] # r12: argc
  4c 8d 6c 24 08       | lea r13, [rsp+8] # r13: argv
  4b 8d 5c e5 08       | lea rbx, [r13+r12*8+8] # rbx: the environment, behind the null that ends argv
  48 8d 2d 46 01 00 00 | lea rbp, [rip+data] # rbp: what this launcher was made for
  41 be 02 00 00 00    | mov r14d, 2
count:
  41 ff c6             | inc r14d
  41 81 fe ea 03 00 00 | cmp r14d, 1002
  74 13                | je counted
  44 89 f7             | mov edi, r14d
  be 01 00 00 00       | mov esi, 1 # F_GETFD
  b8 48 00 00 00       | mov eax, 72 # fcntl: how many descriptors from 3 on are the caller's
  0f 05                | syscall
  85 c0                | test eax, eax
  79 e1                | jns count
counted:
  41 8d 46 fd          | lea eax, [r14-3]
  6a 00                | push 0
  4c 8d 74 24 07       | lea r14, [rsp+7] # r14: the number as text, written from its end
  b9 0a 00 00 00       | mov ecx, 10
digit:
  31 d2                | xor edx, edx
  f7 f1                | div ecx
  80 c2 30             | add dl, 0x30
  49 ff ce             | dec r14
  41 88 16             | mov [r14], dl
  85 c0                | test eax, eax
  75 ef                | jnz digit
  48 c7 c7 9c ff ff ff | mov rdi, -100 # AT_FDCWD
  8b 75 00             | mov esi, [rbp]
  48 01 ee             | add rsi, rbp
  ba 01 00 08 00       | mov edx, 0x80001 # OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC
  b8 ac 01 00 00       | mov eax, 428 # open_tree: the program on a mount of its own, which no namespace shows
  0f 05                | syscall
  41 89 c7             | mov r15d, eax # r15: that mount, or a negative number
  85 c0                | test eax, eax
  78 2f                | js environment
  6a 00                | push 0
  6a 00                | push 0
  6a 00                | push 0
  6a 01                | push 1 # MOUNT_ATTR_RDONLY
  44 89 ff             | mov edi, r15d
  48 8d 74 24 08       | lea rsi, [rsp+8] # an empty path
  ba 00 10 00 00       | mov edx, 0x1000 # AT_EMPTY_PATH
  49 89 e2             | mov r10, rsp
  41 b8 20 00 00 00    | mov r8d, 32
  b8 ba 01 00 00       | mov eax, 442 # mount_setattr: whoever finds it in /proc cannot write it
  0f 05                | syscall
  85 c0                | test eax, eax
  79 06                | jns environment
  41 bf ff ff ff ff    | mov r15d, -1
environment:
  48 89 d8             | mov rax, rbx
last:
  48 83 38 00          | cmp qword ptr [rax], 0
  74 06                | je copy
  48 83 c0 08          | add rax, 8
  eb f4                | jmp last
copy:
  6a 00                | push 0
variable:
  48 39 d8             | cmp rax, rbx
  74 18                | je copied
  48 83 e8 08          | sub rax, 8
  48 8b 38             | mov rdi, [rax]
  81 3f 4e 4f 44 45    | cmp dword ptr [rdi], 0x45444f4e # "NODE": what is meant for other programs that run on it
  75 06                | jne keep
  80 7f 04 5f          | cmp byte ptr [rdi+4], 0x5f # "_"
  74 e6                | je variable
keep:
  57                   | push rdi
  eb e3                | jmp variable
copied:
  48 89 e3             | mov rbx, rsp # rbx: the environment without them
  6a 00                | push 0
argument:
  49 83 fc 01          | cmp r12, 1
  7e 0a                | jle arguments
  49 ff cc             | dec r12
  43 ff 74 e5 00       | push qword ptr [r13+r12*8]
  eb f0                | jmp argument
arguments:
  41 56                | push r14
  41 ff 75 00          | push qword ptr [r13] # what the program was called
  8b 4d 0c             | mov ecx, [rbp+12]
first:
  ff c9                | dec ecx
  78 0a                | js execute
  8b 44 8d 10          | mov eax, [rbp+16+rcx*4]
  48 01 e8             | add rax, rbp
  50                   | push rax
  eb f2                | jmp first
execute:
  49 89 e4             | mov r12, rsp
  45 85 ff             | test r15d, r15d
  78 1b                | js plainly
  6a 00                | push 0
  44 89 ff             | mov edi, r15d
  48 89 e6             | mov rsi, rsp
  4c 89 e2             | mov rdx, r12
  49 89 da             | mov r10, rbx
  41 b8 00 10 00 00    | mov r8d, 0x1000
  b8 42 01 00 00       | mov eax, 322 # execveat
  0f 05                | syscall
plainly:
  8b 7d 00             | mov edi, [rbp]
  48 01 ef             | add rdi, rbp
  4c 89 e6             | mov rsi, r12
  48 89 da             | mov rdx, rbx
  b8 3b 00 00 00       | mov eax, 59 # execve: where mounts are denied, the program's owner is whoever runs this
  0f 05                | syscall
  bf 02 00 00 00       | mov edi, 2
  8b 75 04             | mov esi, [rbp+4]
  48 01 ee             | add rsi, rbp
  8b 55 08             | mov edx, [rbp+8]
  b8 01 00 00 00       | mov eax, 1 # write: why nothing happens
  0f 05                | syscall
  bf 01 00 00 00       | mov edi, 1
  b8 e7 00 00 00       | mov eax, 231 # exit_group
  0f 05                | syscall
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
  c4 42 00 91 | add x4, x22, #16
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
