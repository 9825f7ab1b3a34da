/**
 * The machine code that makes a row of system calls, as assembly listings; how to read them is told in
 * init-program.table.ts. In C it is `long run(struct entry *entries, long count, struct clone_args *clone)`.
 *
 * An entry has eight words of 64 bits: the call's number, six arguments, what the kernel answered. Bit 31 of the number says
 * that the first argument is what the call before answered; the upper half of that word is a set of the errors, below 32,
 * after which the row goes on. Without `clone` the caller makes the calls, and `run` answers how many are left: 0 when
 * all were made. With `clone` a new process makes them, on the stack that is named there, and ends with 127 after
 * the last; `run` answers its number or the error, negative.
 *
 * Kernel interface: syscall(2) "Architecture calling conventions", clone(2) "clone3()".
 */
import type { InitMachine } from './init-program.table.ts'

/** By Node's name of the processor. */
export const callSequenceListings: Readonly<Record<InitMachine, string>> = {
  x64: `
run:
  53             | push rbx
  55             | push rbp
  41 54          | push r12
  48 89 fb       | mov rbx, rdi # rbx: the entry
  48 89 f5       | mov rbp, rsi # rbp: how many are left
  49 89 d4       | mov r12, rdx # r12: for a process of its own, what clone3 is given
  4d 85 e4       | test r12, r12
  74 14          | je next
  4c 89 e7       | mov rdi, r12
  be 58 00 00 00 | mov esi, 88 # the size of struct clone_args
  b8 b3 01 00 00 | mov eax, 435 # clone3
  0f 05          | syscall
  48 85 c0       | test rax, rax
  75 51          | jne back # in the parent, or it failed
next:
  48 85 ed       | test rbp, rbp
  74 44          | je end
  8b 03          | mov eax, [rbx]
  48 8b 7b 08    | mov rdi, [rbx+8]
  0f ba f0 1f    | btr eax, 31 # the first argument is what the call before answered
  73 04          | jnc given
  48 8b 7b f8    | mov rdi, [rbx-8]
given:
  48 8b 73 10    | mov rsi, [rbx+16]
  48 8b 53 18    | mov rdx, [rbx+24]
  4c 8b 53 20    | mov r10, [rbx+32]
  4c 8b 43 28    | mov r8, [rbx+40]
  4c 8b 4b 30    | mov r9, [rbx+48]
  0f 05          | syscall
  48 89 43 38    | mov [rbx+56], rax
  48 f7 d8       | neg rax
  7e 0c          | jle done
  48 83 f8 1f    | cmp rax, 31
  77 0f          | ja end
  0f a3 43 04    | bt dword ptr [rbx+4], eax # whether this error may be
  73 09          | jnc end
done:
  48 83 c3 40    | add rbx, 64
  48 ff cd       | dec rbp
  eb b7          | jmp next
end:
  4d 85 e4       | test r12, r12
  75 08          | jne leave
  48 89 e8       | mov rax, rbp
back:
  41 5c          | pop r12
  5d             | pop rbp
  5b             | pop rbx
  c3             | ret
leave:
  bf 7f 00 00 00 | mov edi, 127
  b8 e7 00 00 00 | mov eax, 231 # exit_group: nobody is there to return to
  0f 05          | syscall
`,
  arm64: `
run:
  e9 03 00 aa | mov x9, x0 # x9: the entry
  ea 03 01 aa | mov x10, x1 # x10: how many are left
  eb 03 02 aa | mov x11, x2 # x11: for a process of its own, what clone3 is given
  cb 00 00 b4 | cbz x11, next
  e0 03 0b aa | mov x0, x11
  01 0b 80 d2 | mov x1, 88 # the size of struct clone_args
  68 36 80 52 | mov w8, 435 # clone3
  01 00 00 d4 | svc 0
  e0 02 00 b5 | cbnz x0, back # in the parent, or it failed
next:
  8a 02 00 b4 | cbz x10, end
  28 01 40 b9 | ldr w8, [x9]
  20 85 40 a9 | ldp x0, x1, [x9, 8]
  68 00 f8 36 | tbz w8, 31, given # else the first argument is what the call before answered
  20 81 5f f8 | ldur x0, [x9, -8]
  08 79 00 12 | and w8, w8, 0x7fffffff
given:
  22 8d 41 a9 | ldp x2, x3, [x9, 24]
  24 95 42 a9 | ldp x4, x5, [x9, 40]
  01 00 00 d4 | svc 0
  20 1d 00 f9 | str x0, [x9, 56]
  e0 00 f8 b6 | tbz x0, 63, done
  e0 03 00 cb | neg x0, x0
  1f 7c 00 f1 | cmp x0, 31
  e8 00 00 54 | b.hi end
  2c 05 40 b9 | ldr w12, [x9, 4]
  8c 25 c0 1a | lsr w12, w12, w0 # whether this error may be
  8c 00 00 36 | tbz w12, 0, end
done:
  29 01 01 91 | add x9, x9, 64
  4a 05 00 d1 | sub x10, x10, 1
  ed ff ff 17 | b next
end:
  6b 00 00 b5 | cbnz x11, leave
  e0 03 0a aa | mov x0, x10
back:
  c0 03 5f d6 | ret
leave:
  e0 0f 80 d2 | mov x0, 127
  c8 0b 80 52 | mov w8, 94 # exit_group: nobody is there to return to
  01 00 00 d4 | svc 0
`,
}
