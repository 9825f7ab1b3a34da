/** Device rules on v2 are a program, not a file. */
import { closeSync, constants, openSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { setDeviceProgram } from '../kernel/bpf.ffi.ts'
import { deviceProgram } from '../kernel/device-program.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import type { OciDeviceRule } from '../spec/oci.ts'

/** Replaces the rules of an earlier call. */
export function applyDeviceProgram(directory: string, rules: readonly OciDeviceRule[]): void {
  const descriptor = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    setDeviceProgram(descriptor, deviceProgram(rules))
  } catch (error) {
    if (!isErrno(error, 'EPERM')) throw error
    throw new EngineError('unavailable', `device rules of ${directory}: bpf(2) is not permitted here`, { cause: error })
  } finally {
    closeSync(descriptor)
  }
}
