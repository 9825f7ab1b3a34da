/**
 * The machine code of a container's first process for `--init`, as assembly listings to be read and checked line by line.
 * What it does is told at initProgram (init-program.ts). A line is a label, or bytes in hexadecimal, `|`, and what they
 * are as the GNU assembler understands it (x86-64 in Intel's syntax); text may stand on the line below its bytes. Behind
 * ` # ` are remarks. Jumps and addresses are relative to themselves: the code runs wherever it lies.
 *
 * Kernel interface: syscall(2) for the registers, signal(7), execve(2); numbers from the kernel's tables for each machine.
 * The test assembles the right side again, where an assembler is installed, and compares it with the left.
 */

export type InitMachine = 'x64' | 'arm64'

/** By Node's name of the processor. */
export const initListings: Readonly<Record<InitMachine, string>> = {
  x64: `
start:
  48 8b 04 24                | mov rax, [rsp] # argc
  4c 8d 64 24 10             | lea r12, [rsp+16] # r12: the command, argv[1] on
  4d 8d 2c c4                | lea r13, [r12+rax*8] # r13: the environment, behind the null that ends argv
  48 81 ec 40 12 00 00       | sub rsp, 4672 # 0 all signals, 8 mask before, 16 sigaction, 48 a number, 64 a path
  49 8b 3c 24                | mov rdi, [r12]
  48 85 ff                   | test rdi, rdi
  0f 84 47 02 00 00          | jz usage
  66 81 3f 2d 2d             | cmp word ptr [rdi], 0x2d2d # a leading "--" is not of the command
  75 15                      | jne block
  80 7f 02 00                | cmp byte ptr [rdi+2], 0
  75 0f                      | jne block
  49 83 c4 08                | add r12, 8
  49 83 3c 24 00             | cmp qword ptr [r12], 0
  0f 84 2b 02 00 00          | je usage
block:
  48 c7 04 24 ff ff ff ff    | mov qword ptr [rsp], -1
  bf 02 00 00 00             | mov edi, 2 # SIG_SETMASK
  48 89 e6                   | mov rsi, rsp
  48 8d 54 24 08             | lea rdx, [rsp+8]
  41 ba 08 00 00 00          | mov r10d, 8
  b8 0e 00 00 00             | mov eax, 14 # rt_sigprocmask: from here on signals wait to be asked for
  0f 05                      | syscall
  48 8d 7c 24 10             | lea rdi, [rsp+16]
  31 c0                      | xor eax, eax
  b9 04 00 00 00             | mov ecx, 4
  f3 48 ab                   | rep stosq # a sigaction of zeros: the default
  bf 11 00 00 00             | mov edi, 17 # SIGCHLD; were it ignored, children would vanish without a word
  48 8d 74 24 10             | lea rsi, [rsp+16]
  31 d2                      | xor edx, edx
  b8 0d 00 00 00             | mov eax, 13 # rt_sigaction
  0f 05                      | syscall
  b8 39 00 00 00             | mov eax, 57 # fork
  0f 05                      | syscall
  85 c0                      | test eax, eax
  74 7e                      | jz child
  0f 88 df 01 00 00          | js unforked
  41 89 c6                   | mov r14d, eax # r14: the command's process
  bb ff ff ff ff             | mov ebx, -1 # ebx: its wait status, once it ended
await:
  48 89 e7                   | mov rdi, rsp
  31 f6                      | xor esi, esi
  31 d2                      | xor edx, edx
  41 ba 08 00 00 00          | mov r10d, 8
  b8 80 00 00 00             | mov eax, 128 # rt_sigtimedwait, any signal, for ever
  0f 05                      | syscall
  85 c0                      | test eax, eax
  78 e8                      | js await # EINTR: this process was stopped and goes on
  83 f8 11                   | cmp eax, 17
  74 0e                      | je reap
  44 89 f7                   | mov edi, r14d
  89 c6                      | mov esi, eax
  b8 3e 00 00 00             | mov eax, 62 # kill: every other signal is the command's
  0f 05                      | syscall
  eb d5                      | jmp await
reap:
  bf ff ff ff ff             | mov edi, -1
  48 8d 74 24 30             | lea rsi, [rsp+48]
  ba 01 00 00 00             | mov edx, 1 # WNOHANG: one SIGCHLD may stand for several
  45 31 d2                   | xor r10d, r10d
  b8 3d 00 00 00             | mov eax, 61 # wait4
  0f 05                      | syscall
  85 c0                      | test eax, eax
  7e 0b                      | jle reaped
  44 39 f0                   | cmp eax, r14d
  75 de                      | jne reap
  8b 5c 24 30                | mov ebx, [rsp+48]
  eb d8                      | jmp reap
reaped:
  85 db                      | test ebx, ebx
  78 a9                      | js await
  89 df                      | mov edi, ebx
  83 e7 7f                   | and edi, 0x7f # the signal that ended it, or 0
  74 08                      | jz exited
  81 c7 80 00 00 00          | add edi, 128
  eb 03                      | jmp exit
exited:
  0f b6 ff                   | movzx edi, bh # the exit code
exit:
  b8 e7 00 00 00             | mov eax, 231 # exit_group
  0f 05                      | syscall
child:
  31 ff                      | xor edi, edi
  31 f6                      | xor esi, esi
  b8 6d 00 00 00             | mov eax, 109 # setpgid: a group of its own
  0f 05                      | syscall
  b8 27 00 00 00             | mov eax, 39 # getpid
  0f 05                      | syscall
  89 44 24 30                | mov [rsp+48], eax
  31 ff                      | xor edi, edi
  be 10 54 00 00             | mov esi, 0x5410 # TIOCSPGRP: what is typed is the command's; ENOTTY where there is no terminal
  48 8d 54 24 30             | lea rdx, [rsp+48]
  b8 10 00 00 00             | mov eax, 16 # ioctl; SIGTTOU is still blocked, so it does not stop this
  0f 05                      | syscall
  bf 02 00 00 00             | mov edi, 2
  48 8d 74 24 08             | lea rsi, [rsp+8] # the mask as it was before
  31 d2                      | xor edx, edx
  41 ba 08 00 00 00          | mov r10d, 8
  b8 0e 00 00 00             | mov eax, 14 # rt_sigprocmask
  0f 05                      | syscall
  4d 8b 3c 24                | mov r15, [r12] # r15: the command's name
  bd fe ff ff ff             | mov ebp, -2 # ebp: why it cannot run; ENOENT until something else is found
  41 80 3f 00                | cmp byte ptr [r15], 0
  0f 84 c0 00 00 00          | je failed
  4c 89 ff                   | mov rdi, r15
measure:
  8a 07                      | mov al, [rdi]
  48 ff c7                   | inc rdi
  3c 2f                      | cmp al, '/'
  0f 84 a6 00 00 00          | je direct # a path is not searched for
  84 c0                      | test al, al
  75 ef                      | jne measure
  48 89 fb                   | mov rbx, rdi
  4c 29 fb                   | sub rbx, r15 # rbx: length of the name with its zero
  48 81 fb 00 01 00 00       | cmp rbx, 256 # NAME_MAX and the zero
  0f 87 99 00 00 00          | ja failed
  4c 89 ee                   | mov rsi, r13
variable:
  4c 8b 06                   | mov r8, [rsi] # r8: where the search is in PATH
  48 83 c6 08                | add rsi, 8
  4d 85 c0                   | test r8, r8
  74 16                      | jz unset
  41 81 38 50 41 54 48       | cmp dword ptr [r8], 0x48544150 # "PATH"
  75 eb                      | jne variable
  41 80 78 04 3d             | cmp byte ptr [r8+4], '='
  75 e4                      | jne variable
  49 83 c0 05                | add r8, 5
  eb 07                      | jmp search
unset:
  4c 8d 05 20 01 00 00       | lea r8, [rip+usual]
search:
  4c 8d 8c 24 3f 10 00 00    | lea r9, [rsp+4159] # r9: where the longest directory ends, 4095 bytes on
directory:
  48 8d 7c 24 40             | lea rdi, [rsp+64]
copy:
  41 8a 00                   | mov al, [r8]
  84 c0                      | test al, al
  74 0f                      | jz join
  3c 3a                      | cmp al, ':'
  74 0b                      | je join
  49 ff c0                   | inc r8
  4c 39 cf                   | cmp rdi, r9
  74 ed                      | je copy # too long: passed over
  aa                         | stosb
  eb ea                      | jmp copy
join:
  4c 39 cf                   | cmp rdi, r9
  74 30                      | je next
  48 8d 54 24 40             | lea rdx, [rsp+64]
  48 39 d7                   | cmp rdi, rdx
  74 03                      | je name # an empty directory is the working directory
  b0 2f                      | mov al, '/'
  aa                         | stosb
name:
  4c 89 fe                   | mov rsi, r15
  48 89 d9                   | mov rcx, rbx
  f3 a4                      | rep movsb
  48 8d 7c 24 40             | lea rdi, [rsp+64]
  e8 86 00 00 00             | call run
  83 f8 fe                   | cmp eax, -2 # ENOENT
  74 0c                      | je next
  83 f8 ec                   | cmp eax, -20 # ENOTDIR
  74 07                      | je next
  89 c5                      | mov ebp, eax
  83 f8 f3                   | cmp eax, -13 # EACCES: told if no other directory has it
  75 15                      | jne failed
next:
  41 80 38 00                | cmp byte ptr [r8], 0
  74 0f                      | je failed
  49 ff c0                   | inc r8
  eb a5                      | jmp directory
direct:
  4c 89 ff                   | mov rdi, r15
  e8 62 00 00 00             | call run
  89 c5                      | mov ebp, eax
failed:
  48 8d 35 c2 00 00 00       | lea rsi, [rip+cannot]
  e8 8a 00 00 00             | call say
  4c 89 fe                   | mov rsi, r15
  e8 82 00 00 00             | call say
  bb 7f 00 00 00             | mov ebx, 127
  48 8d 35 c2 00 00 00       | lea rsi, [rip+missing]
  83 fd fe                   | cmp ebp, -2
  74 18                      | je tell
  bb 7e 00 00 00             | mov ebx, 126
  48 8d 35 ce 00 00 00       | lea rsi, [rip+denied]
  83 fd f3                   | cmp ebp, -13
  74 07                      | je tell
  48 8d 35 d7 00 00 00       | lea rsi, [rip+unfit]
tell:
  e8 54 00 00 00             | call say
  89 df                      | mov edi, ebx
  e9 9b fe ff ff             | jmp exit
usage:
  48 8d 35 e6 00 00 00       | lea rsi, [rip+nothing]
  eb 07                      | jmp complain
unforked:
  48 8d 35 00 01 00 00       | lea rsi, [rip+forkless]
complain:
  bb 01 00 00 00             | mov ebx, 1
  eb dd                      | jmp tell
run: # rdi: a path; returns only with why not, as a negative errno in eax
  4c 89 e6                   | mov rsi, r12
  4c 89 ea                   | mov rdx, r13
  b8 3b 00 00 00             | mov eax, 59 # execve
  0f 05                      | syscall
  83 f8 f8                   | cmp eax, -8 # ENOEXEC: a script without #!, the shell's as with execvp(3)
  75 23                      | jne back
  49 89 3c 24                | mov [r12], rdi
  48 8d 3d 44 00 00 00       | lea rdi, [rip+shell]
  49 8d 74 24 f8             | lea rsi, [r12-8] # there is always a word before the command
  48 89 3e                   | mov [rsi], rdi
  b8 3b 00 00 00             | mov eax, 59 # execve
  0f 05                      | syscall
  4d 89 3c 24                | mov [r12], r15
  b8 f8 ff ff ff             | mov eax, -8
back:
  c3                         | ret
say: # rsi: text that a zero ends, for standard error
  48 c7 c2 ff ff ff ff       | mov rdx, -1
length:
  48 ff c2                   | inc rdx
  80 3c 16 00                | cmp byte ptr [rsi+rdx], 0
  75 f7                      | jne length
  bf 02 00 00 00             | mov edi, 2
  b8 01 00 00 00             | mov eax, 1 # write
  0f 05                      | syscall
  c3                         | ret
usual:
  2f 62 69 6e 3a 2f 75 73 72 2f 62 69 6e 00 | .asciz "/bin:/usr/bin"
shell:
  2f 62 69 6e 2f 73 68 00 | .asciz "/bin/sh"
cannot:
  64 6f 63 6b 65 72 2d 69 6e 69 74 3a 20 63 61 6e 6e 6f 74 20 72 75 6e 20 00
    | .asciz "docker-init: cannot run "
missing:
  3a 20 4e 6f 20 73 75 63 68 20 66 69 6c 65 20 6f 72 20 64 69 72 65 63 74 6f 72 79 0a 00
    | .asciz ": No such file or directory\\n"
denied:
  3a 20 50 65 72 6d 69 73 73 69 6f 6e 20 64 65 6e 69 65 64 0a 00
    | .asciz ": Permission denied\\n"
unfit:
  3a 20 6e 6f 74 20 61 20 70 72 6f 67 72 61 6d 20 66 6f 72 20 74 68 69 73 20 6d 61 63 68 69 6e 65 0a 00
    | .asciz ": not a program for this machine\\n"
nothing:
  64 6f 63 6b 65 72 2d 69 6e 69 74 3a 20 6e 6f 20 63 6f 6d 6d 61 6e 64 20 77 61 73 20 67 69 76 65 6e 0a 00
    | .asciz "docker-init: no command was given\\n"
forkless:
  64 6f 63 6b 65 72 2d 69 6e 69 74 3a 20 6e 6f 20 70 72 6f 63 65 73 73 20 63 6f 75 6c 64 20 62 65 20 6d 61 64 65 0a 00
    | .asciz "docker-init: no process could be made\\n"
`,
  arm64: `
start:
  e0 03 40 f9 | ldr x0, [sp] # argc
  f3 43 00 91 | add x19, sp, #16 # x19: the command, argv[1] on
  74 0e 00 8b | add x20, x19, x0, lsl #3 # x20: the environment, behind the null that ends argv
  ff 07 40 d1 | sub sp, sp, #4096
  ff 03 09 d1 | sub sp, sp, #576 # 0 all signals, 8 mask before, 16 sigaction, 48 a number, 64 a path
  61 02 40 f9 | ldr x1, [x19]
  61 15 00 b4 | cbz x1, usage
  22 00 40 39 | ldrb w2, [x1] # a leading "--" is not of the command
  5f b4 00 71 | cmp w2, #45
  21 01 00 54 | b.ne block
  22 04 40 39 | ldrb w2, [x1, #1]
  5f b4 00 71 | cmp w2, #45
  c1 00 00 54 | b.ne block
  22 08 40 39 | ldrb w2, [x1, #2]
  82 00 00 35 | cbnz w2, block
  73 22 00 91 | add x19, x19, #8
  61 02 40 f9 | ldr x1, [x19]
  01 14 00 b4 | cbz x1, usage
block:
  02 00 80 92 | mov x2, #-1
  e2 03 00 f9 | str x2, [sp]
  40 00 80 d2 | mov x0, #2 # SIG_SETMASK
  e1 03 00 91 | mov x1, sp
  e2 23 00 91 | add x2, sp, #8
  03 01 80 d2 | mov x3, #8
  e8 10 80 d2 | mov x8, #135 # rt_sigprocmask: from here on signals wait to be asked for
  01 00 00 d4 | svc #0
  ff 7f 01 a9 | stp xzr, xzr, [sp, #16]
  ff 7f 02 a9 | stp xzr, xzr, [sp, #32] # a sigaction of zeros: the default
  20 02 80 d2 | mov x0, #17 # SIGCHLD; were it ignored, children would vanish without a word
  e1 43 00 91 | add x1, sp, #16
  02 00 80 d2 | mov x2, #0
  c8 10 80 d2 | mov x8, #134 # rt_sigaction
  01 00 00 d4 | svc #0
  20 02 80 d2 | mov x0, #17 # SIGCHLD: as fork(2)
  01 00 80 d2 | mov x1, #0
  02 00 80 d2 | mov x2, #0
  03 00 80 d2 | mov x3, #0
  04 00 80 d2 | mov x4, #0
  88 1b 80 d2 | mov x8, #220 # clone
  01 00 00 d4 | svc #0
  c0 04 00 b4 | cbz x0, child
  40 11 f8 b7 | tbnz x0, #63, unforked
  f5 03 00 aa | mov x21, x0 # x21: the command's process
  16 00 80 12 | mov w22, #-1 # w22: its wait status, once it ended
await:
  e0 03 00 91 | mov x0, sp
  01 00 80 d2 | mov x1, #0
  02 00 80 d2 | mov x2, #0
  03 01 80 d2 | mov x3, #8
  28 11 80 d2 | mov x8, #137 # rt_sigtimedwait, any signal, for ever
  01 00 00 d4 | svc #0
  40 ff ff 37 | tbnz w0, #31, await # EINTR: this process was stopped and goes on
  1f 44 00 71 | cmp w0, #17
  c0 00 00 54 | b.eq reap
  e1 03 00 2a | mov w1, w0
  e0 03 15 aa | mov x0, x21
  28 10 80 d2 | mov x8, #129 # kill: every other signal is the command's
  01 00 00 d4 | svc #0
  f3 ff ff 17 | b await
reap:
  00 00 80 92 | mov x0, #-1
  e1 c3 00 91 | add x1, sp, #48
  22 00 80 d2 | mov x2, #1 # WNOHANG: one SIGCHLD may stand for several
  03 00 80 d2 | mov x3, #0
  88 20 80 d2 | mov x8, #260 # wait4
  01 00 00 d4 | svc #0
  1f 00 00 71 | cmp w0, #0
  ad 00 00 54 | b.le reaped
  1f 00 15 6b | cmp w0, w21
  e1 fe ff 54 | b.ne reap
  f6 33 40 b9 | ldr w22, [sp, #48]
  f5 ff ff 17 | b reap
reaped:
  d6 fc ff 37 | tbnz w22, #31, await
  c0 1a 00 72 | ands w0, w22, #127 # the signal that ended it, or 0
  60 00 00 54 | b.eq exited
  00 00 02 11 | add w0, w0, #128
  02 00 00 14 | b exit
exited:
  c0 3e 08 53 | ubfx w0, w22, #8, #8 # the exit code
exit:
  c8 0b 80 d2 | mov x8, #94 # exit_group
  01 00 00 d4 | svc #0
child:
  00 00 80 d2 | mov x0, #0
  01 00 80 d2 | mov x1, #0
  48 13 80 d2 | mov x8, #154 # setpgid: a group of its own
  01 00 00 d4 | svc #0
  88 15 80 d2 | mov x8, #172 # getpid
  01 00 00 d4 | svc #0
  e0 33 00 b9 | str w0, [sp, #48]
  00 00 80 d2 | mov x0, #0
  01 82 8a d2 | mov x1, #0x5410 # TIOCSPGRP: what is typed is the command's; ENOTTY where there is no terminal
  e2 c3 00 91 | add x2, sp, #48
  a8 03 80 d2 | mov x8, #29 # ioctl; SIGTTOU is still blocked, so it does not stop this
  01 00 00 d4 | svc #0
  40 00 80 d2 | mov x0, #2
  e1 23 00 91 | add x1, sp, #8 # the mask as it was before
  02 00 80 d2 | mov x2, #0
  03 01 80 d2 | mov x3, #8
  e8 10 80 d2 | mov x8, #135 # rt_sigprocmask
  01 00 00 d4 | svc #0
  77 02 40 f9 | ldr x23, [x19] # x23: the command's name
  38 00 80 12 | mov w24, #-2 # w24: why it cannot run; ENOENT until something else is found
  e1 02 40 39 | ldrb w1, [x23]
  c1 07 00 34 | cbz w1, failed
  e0 03 17 aa | mov x0, x23
measure:
  01 14 40 38 | ldrb w1, [x0], #1
  3f bc 00 71 | cmp w1, #47
  e0 06 00 54 | b.eq direct # a path is not searched for
  a1 ff ff 35 | cbnz w1, measure
  16 00 17 cb | sub x22, x0, x23 # x22: length of the name with its zero
  df 02 04 f1 | cmp x22, #256 # NAME_MAX and the zero
  c8 06 00 54 | b.hi failed
  e1 03 14 aa | mov x1, x20
  24 0c 00 10 | adr x4, path
  84 00 40 b9 | ldr w4, [x4] # "PATH"
variable:
  39 84 40 f8 | ldr x25, [x1], #8 # x25: where the search is in PATH
  39 01 00 b4 | cbz x25, unset
  22 03 40 b9 | ldr w2, [x25]
  5f 00 04 6b | cmp w2, w4
  81 ff ff 54 | b.ne variable
  22 13 40 39 | ldrb w2, [x25, #4]
  5f f4 00 71 | cmp w2, #61 # "="
  21 ff ff 54 | b.ne variable
  39 17 00 91 | add x25, x25, #5
  02 00 00 14 | b search
unset:
  d9 0a 00 10 | adr x25, usual
search:
  fa ff 00 91 | add x26, sp, #63
  5a 07 40 91 | add x26, x26, #4096 # x26: where the longest directory ends, 4095 bytes on
directory:
  e0 03 01 91 | add x0, sp, #64
copy:
  21 03 40 39 | ldrb w1, [x25]
  01 01 00 34 | cbz w1, join
  3f e8 00 71 | cmp w1, #58 # ":"
  c0 00 00 54 | b.eq join
  39 07 00 91 | add x25, x25, #1
  1f 00 1a eb | cmp x0, x26
  40 ff ff 54 | b.eq copy # too long: passed over
  01 14 00 38 | strb w1, [x0], #1
  f8 ff ff 17 | b copy
join:
  1f 00 1a eb | cmp x0, x26
  60 02 00 54 | b.eq next
  e2 03 01 91 | add x2, sp, #64
  1f 00 02 eb | cmp x0, x2
  60 00 00 54 | b.eq name # an empty directory is the working directory
  e1 05 80 52 | mov w1, #47 # "/"
  01 14 00 38 | strb w1, [x0], #1
name:
  e2 03 17 aa | mov x2, x23
append:
  41 14 40 38 | ldrb w1, [x2], #1
  01 14 00 38 | strb w1, [x0], #1
  c1 ff ff 35 | cbnz w1, append
  e0 03 01 91 | add x0, sp, #64
  24 00 00 94 | bl run
  1f 08 00 31 | cmn w0, #2 # ENOENT
  c0 00 00 54 | b.eq next
  1f 50 00 31 | cmn w0, #20 # ENOTDIR
  80 00 00 54 | b.eq next
  f8 03 00 2a | mov w24, w0
  1f 34 00 31 | cmn w0, #13 # EACCES: told if no other directory has it
  01 01 00 54 | b.ne failed
next:
  21 03 40 39 | ldrb w1, [x25]
  c1 00 00 34 | cbz w1, failed
  39 07 00 91 | add x25, x25, #1
  df ff ff 17 | b directory
direct:
  e0 03 17 aa | mov x0, x23
  17 00 00 94 | bl run
  f8 03 00 2a | mov w24, w0
failed:
  61 06 00 50 | adr x1, cannot
  23 00 00 94 | bl say
  e1 03 17 aa | mov x1, x23
  21 00 00 94 | bl say
  f6 0f 80 52 | mov w22, #127
  81 06 00 70 | adr x1, missing
  1f 0b 00 31 | cmn w24, #2
  c0 00 00 54 | b.eq tell
  d6 0f 80 52 | mov w22, #126
  01 07 00 10 | adr x1, denied
  1f 37 00 31 | cmn w24, #13
  40 00 00 54 | b.eq tell
  41 07 00 30 | adr x1, unfit
tell:
  17 00 00 94 | bl say
  e0 03 16 2a | mov w0, w22
  9c ff ff 17 | b exit
usage:
  c1 07 00 70 | adr x1, nothing
  02 00 00 14 | b complain
unforked:
  a1 08 00 50 | adr x1, forkless
complain:
  36 00 80 52 | mov w22, #1
  f9 ff ff 17 | b tell
run: # x0: a path; returns only with why not, as a negative errno in w0
  e9 03 00 aa | mov x9, x0
  e1 03 13 aa | mov x1, x19
  e2 03 14 aa | mov x2, x20
  a8 1b 80 d2 | mov x8, #221 # execve
  01 00 00 d4 | svc #0
  1f 20 00 31 | cmn w0, #8 # ENOEXEC: a script without #!, the shell's as with execvp(3)
  01 01 00 54 | b.ne back
  69 02 00 f9 | str x9, [x19]
  80 02 00 50 | adr x0, shell
  61 22 00 d1 | sub x1, x19, #8 # there is always a word before the command
  20 00 00 f9 | str x0, [x1]
  01 00 00 d4 | svc #0 # execve
  77 02 00 f9 | str x23, [x19]
  e0 00 80 12 | mov w0, #-8
back:
  c0 03 5f d6 | ret
say: # x1: text that a zero ends, for standard error
  02 00 80 d2 | mov x2, #0
length:
  20 68 62 38 | ldrb w0, [x1, x2]
  60 00 00 34 | cbz w0, write
  42 04 00 91 | add x2, x2, #1
  fd ff ff 17 | b length
write:
  40 00 80 d2 | mov x0, #2
  08 08 80 d2 | mov x8, #64 # write
  01 00 00 d4 | svc #0
  c0 03 5f d6 | ret
path:
  50 41 54 48 | .ascii "PATH"
usual:
  2f 62 69 6e 3a 2f 75 73 72 2f 62 69 6e 00 | .asciz "/bin:/usr/bin"
shell:
  2f 62 69 6e 2f 73 68 00 | .asciz "/bin/sh"
cannot:
  64 6f 63 6b 65 72 2d 69 6e 69 74 3a 20 63 61 6e 6e 6f 74 20 72 75 6e 20 00
    | .asciz "docker-init: cannot run "
missing:
  3a 20 4e 6f 20 73 75 63 68 20 66 69 6c 65 20 6f 72 20 64 69 72 65 63 74 6f 72 79 0a 00
    | .asciz ": No such file or directory\\n"
denied:
  3a 20 50 65 72 6d 69 73 73 69 6f 6e 20 64 65 6e 69 65 64 0a 00
    | .asciz ": Permission denied\\n"
unfit:
  3a 20 6e 6f 74 20 61 20 70 72 6f 67 72 61 6d 20 66 6f 72 20 74 68 69 73 20 6d 61 63 68 69 6e 65 0a 00
    | .asciz ": not a program for this machine\\n"
nothing:
  64 6f 63 6b 65 72 2d 69 6e 69 74 3a 20 6e 6f 20 63 6f 6d 6d 61 6e 64 20 77 61 73 20 67 69 76 65 6e 0a 00
    | .asciz "docker-init: no command was given\\n"
forkless:
  64 6f 63 6b 65 72 2d 69 6e 69 74 3a 20 6e 6f 20 70 72 6f 63 65 73 73 20 63 6f 75 6c 64 20 62 65 20 6d 61 64 65 0a 00
    | .asciz "docker-init: no process could be made\\n"
`,
}
