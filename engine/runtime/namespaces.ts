/** The namespaces of config.json: which are new, which are found at a path, and how both come together. */
import { closeSync, constants, openSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import {
  namespaceFlags,
  namespaceKinds,
  namespaceTypeOf,
  openNamespace,
  setNamespace,
} from '../kernel/namespaces.ffi.ts'
import type { OciNamespaceType, OciSpec } from '../spec/oci.ts'

export type Joined = readonly { readonly type: OciNamespaceType; readonly fd: number }[]

export const createdKinds = (spec: OciSpec): Set<OciNamespaceType> =>
  new Set(
    (spec.linux?.namespaces ?? []).filter(({ path }) => path === undefined || path === '').map(({ type }) => type),
  )

/** New or joined: not the runtime's own. */
export const hasNamespace = (spec: OciSpec, type: OciNamespaceType): boolean =>
  spec.linux?.namespaces?.some((namespace) => namespace.type === type) === true

/** Descriptors of all that have a path; the caller closes them with `closeJoined`. */
export function openJoined(spec: OciSpec): Joined {
  using cleanup = new DisposableStack()
  const joined: { type: OciNamespaceType; fd: number }[] = []
  cleanup.defer(() => closeJoined(joined))
  for (const [index, { type, path }] of (spec.linux?.namespaces ?? []).entries()) {
    if (path === undefined || path === '') continue
    joined.push({ type, fd: openOne(type, path, `linux.namespaces[${index}]`) })
  }
  cleanup.move()
  return joined
}

export const closeJoined = (joined: Joined): void => {
  for (const { fd } of joined) closeSync(fd)
}

function openOne(type: OciNamespaceType, path: string, field: string): number {
  const what = `${field}: cannot join the ${type} namespace at ${JSON.stringify(path)}`
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY)
  } catch (error) {
    throw new EngineError('invalid', what, { cause: error })
  }
  // setns(2) would say no more than EINVAL.
  const found = namespaceTypeOf(fd)
  if (found === type) return fd
  closeSync(fd)
  throw new EngineError('invalid', `${what}: it is ${found === undefined ? 'no namespace' : `of the kind ${found}`}`)
}

/**
 * Joins all. Those owned by the caller's user namespace must come before a foreign one is entered, those owned by that
 * one after it; which is which shows by trying. The mount namespace is last: after it paths are another root's.
 */
export function joinAll(joined: Joined): void {
  const inOrder = namespaceKinds.flatMap((kind) => joined.filter(({ type }) => type === kind.type))
  const user = inOrder.find(({ type }) => type === 'user')
  if (user === undefined) {
    for (const { type, fd } of inOrder) setNamespace(fd, [type])
    return
  }
  const later: (typeof inOrder)[number][] = []
  for (const one of inOrder.filter(({ type }) => type !== 'user' && type !== 'mount')) {
    try {
      setNamespace(one.fd, [one.type])
    } catch (error) {
      if (!isErrno(error, 'EPERM')) throw error
      later.push(one)
    }
  }
  setNamespace(user.fd, ['user'])
  for (const { type, fd } of [...later, ...inOrder.filter((one) => one.type === 'mount')]) setNamespace(fd, [type])
}

/** Only children are affected; the caller itself stays where it is, and its later children, too. */
export function childrenGoTo(pidNamespace: number): Disposable {
  using back = new DisposableStack()
  const home = back.adopt(openNamespace('self', 'pid'), closeSync)
  setNamespace(pidNamespace, ['pid'])
  back.defer(() => setNamespace(home, ['pid']))
  return back.move()
}

/** For clone3(2). The cgroup namespace is left out: the child makes it once it is in its group; time: see `needsStage`. */
export const newNamespaceFlags = (created: ReadonlySet<OciNamespaceType>): bigint =>
  namespaceFlags([...created].filter((type) => type !== 'cgroup' && type !== 'time'))

/**
 * Whether a process must stand between: namespaces of a foreign user namespace can be made only by one that is in it;
 * those of the runtime's joined only by one that has not entered a new one; and the offsets of a time namespace can
 * be set only before its first process is born; time_namespaces(7).
 */
export const needsStage = (created: ReadonlySet<OciNamespaceType>, joined: Joined): boolean =>
  created.has('time') || joined.some(({ type }) => type === 'user') || (created.has('user') && joined.length > 0)
