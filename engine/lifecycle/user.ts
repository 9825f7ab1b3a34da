/** Who a container's process is: `user[:group]` looked up in the container's own /etc/passwd and /etc/group; wire fact 142. */
import { closeSync, readSync } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { isErrno } from '../kernel/libc.ffi.ts'
import { openAt, openFlags, resolveFlags } from '../kernel/paths.ffi.ts'
import type { OciUser } from '../spec/oci.ts'

export type Account = { name: string; uid: number; gid: number; home: string }
export type Group = { name: string; gid: number; members: string[] }

/** passwd(5); lines that are not of its form are skipped, as the C library does. */
export function parsePasswd(text: string): Account[] {
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid, , home] = line.split(':')
    if (!name || line.startsWith('#') || !isId(uid) || !isId(gid)) return []
    return [{ name, uid: Number(uid), gid: Number(gid), home: home ?? '' }]
  })
}

/** group(5) */
export function parseGroup(text: string): Group[] {
  return text.split('\n').flatMap((line) => {
    const [name, , gid, members] = line.split(':')
    if (!name || line.startsWith('#') || !isId(gid)) return []
    return [{ name, gid: Number(gid), members: (members ?? '').split(',').map((one) => one.trim()) }]
  })
}

const isId = (text: string | undefined): text is string => text !== undefined && /^\d{1,10}$/.test(text.trim())

const largestId = 2 ** 31 - 1

function numberOf(text: string, what: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined
  const id = Number(text)
  if (id > largestId) throw new EngineError('invalid', `${what} ${text} is not in the range 0-${largestId}`)
  return id
}

/**
 * A name wins over a number of the same spelling. Without a group of its own the user gets the groups that list it;
 * with one it gets that and no other. `more` is HostConfig.GroupAdd.
 */
export function resolveUser(
  user: string,
  more: readonly string[],
  accounts: readonly Account[],
  groups: readonly Group[],
): OciUser {
  const [userPart = '', groupPart] = user.split(':', 2)
  const account =
    userPart === ''
      ? accounts.find(({ uid }) => uid === 0)
      : (accounts.find(({ name }) => name === userPart) ?? accounts.find(({ uid }) => String(uid) === userPart))
  const uid = account?.uid ?? numberOf(userPart === '' ? '0' : userPart, 'user')
  if (uid === undefined)
    throw new EngineError('invalid', `unable to find user ${userPart}: no matching entries in passwd file`)
  const gid = groupPart ? groupId(groupPart, groups) : (account?.gid ?? 0)
  const listed = groupPart || account === undefined ? [] : groupsOf(account.name, groups)
  const additionalGids = [...new Set([gid, ...listed, ...more.map((name) => groupId(name, groups))])]
  return { uid, gid, additionalGids }
}

const groupsOf = (name: string, groups: readonly Group[]): number[] =>
  groups.filter(({ members }) => members.includes(name)).map(({ gid }) => gid)

function groupId(text: string, groups: readonly Group[]): number {
  const gid = groups.find(({ name }) => name === text)?.gid ?? numberOf(text, 'group')
  if (gid === undefined)
    throw new EngineError('invalid', `Unable to find group ${text}: no matching entries in group file`)
  return gid
}

/** Whether the files have to be read at all: `1000:1000` says everything. */
export const needsLookup = (user: string, more: readonly string[]): boolean =>
  !/^\d+:\d+$/.test(user) || more.some((group) => !/^\d+$/.test(group))

/** Numbers, and nobody in particular, need not be listed anywhere to be somebody. */
export const canBeUnknown = (user: string, more: readonly string[]): boolean =>
  !/^\d*(:\d*)?$/.test(user) || more.some((group) => !/^\d+$/.test(group))

/** @param root the container's root directory, open */
export const lookUpUser = (root: number, user: string, more: readonly string[]): OciUser =>
  resolveUser(user, more, parsePasswd(readInRoot(root, 'etc/passwd')), parseGroup(readInRoot(root, 'etc/group')))

/** A container could make its own files as large as it likes. */
const longest = 1 << 20
const pieceSize = 8192

/** The text of a file of the container, '' where there is none; links lead nowhere out of the root. */
export function readInRoot(root: number, path: string): string {
  let file: number
  try {
    // Never blocks: what the container has there may be a pipe.
    file = openAt(root, path, {
      flags: openFlags.O_RDONLY | openFlags.O_NONBLOCK,
      resolve: resolveFlags.RESOLVE_IN_ROOT | resolveFlags.RESOLVE_NO_MAGICLINKS,
    })
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'ENXIO')) return ''
    throw error
  }
  try {
    const pieces: Buffer[] = []
    for (let length = 0; length < longest; ) {
      const piece = Buffer.allocUnsafe(pieceSize)
      const count = readSync(file, piece)
      if (count === 0) break
      pieces.push(piece.subarray(0, count))
      length += count
    }
    return Buffer.concat(pieces).toString()
  } catch (error) {
    if (isErrno(error, 'EISDIR', 'EAGAIN', 'EINVAL')) return ''
    throw error
  } finally {
    closeSync(file)
  }
}
