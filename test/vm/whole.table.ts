/** What runs where no file is named. */

type Whole = {
  files: string
  /**
   * The modes, each with the minutes that it takes on two processors, added up from parts. A namespace within QEMU has
   * nothing that one within user-mode Linux does not have.
   */
  minutes: Partial<Record<'plain' | 'nested' | 'systemd', number>>
}

export const whole: Readonly<Record<string, Whole>> = {
  uml: { files: 'test/{kernel,engine,conformance,clients,vm}/**/*.test.ts', minutes: { plain: 30, nested: 30 } },
  // Other people's clients see nothing of the kernel: once is enough, where it is fast.
  qemu: { files: 'test/{kernel,engine,conformance,vm}/**/*.test.ts', minutes: { plain: 200, systemd: 200 } },
}
