/** One daemon for one root: a lock that the kernel gives back however the daemon ends. */
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { EngineError } from '../base/errors.ts'
import { tryLock } from '../kernel/lock.ffi.ts'

/** conflict while another daemon has the root. The file stays: removing it would let two hold a lock. */
export function lockRoot(root: string): Disposable {
  mkdirSync(root, { recursive: true, mode: 0o711 })
  const path = join(root, 'engine.lock')
  using cleanup = new DisposableStack()
  const fd = cleanup.adopt(openSync(path, 'a+', 0o600), closeSync)
  if (!tryLock(fd)) {
    const pid = readFileSync(path, 'utf8').trim()
    throw new EngineError(
      'conflict',
      `another engine${pid === '' ? '' : ` (process ${pid})`} uses ${root}: stop it, or choose another --root`,
    )
  }
  ftruncateSync(fd, 0)
  writeSync(fd, `${process.pid}\n`)
  return cleanup.move()
}
