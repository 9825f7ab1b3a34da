import { EngineError } from '../base/errors.ts'
import type { OciSeccomp } from '../spec/oci.ts'

export function loadSeccomp(_seccomp: OciSeccomp): void {
  throw new EngineError('not-implemented', 'linux.seccomp')
}
