/** `--userns-remap`: whose subordinate ids containers get, from subuid(5) and subgid(5). Pure. */
import { EngineError } from '../base/errors.ts'
import type { IdMaps } from '../spec/id-maps.ts'
import type { OciIdMapping } from '../spec/oci.ts'
import { parseGroup, parsePasswd } from './user.ts'

/** What `default` stands for. */
export const defaultRemapUser = 'dockremap'

/** The files by their contents; empty where there is none. */
export type AccountFiles = { passwd: string; group: string; subuid: string; subgid: string }

const invalid = (sentence: string): never => {
  throw new EngineError('invalid', `--userns-remap: ${sentence}`)
}

/** Lines `name:first:count`, the name being a number as well. */
function rangesOf(text: string, names: readonly string[]): OciIdMapping[] {
  const mappings: OciIdMapping[] = []
  let containerID = 0
  for (const line of text.split('\n')) {
    const [name = '', first = '', count = ''] = line.trim().split(':')
    if (!names.includes(name) || !/^\d{1,10}$/.test(first) || !/^\d{1,10}$/.test(count) || Number(count) === 0) continue
    mappings.push({ containerID, hostID: Number(first), size: Number(count) })
    containerID += Number(count)
  }
  return mappings
}

function checked(mappings: OciIdMapping[], who: string, file: string): OciIdMapping[] {
  if (mappings.length === 0) return invalid(`${file} has no range for ${JSON.stringify(who)}`)
  // The kernel takes no more lines; user_namespaces(7).
  if (mappings.length > 340) return invalid(`${file} has more than 340 ranges for ${JSON.stringify(who)}`)
  for (const { hostID, size } of mappings) {
    if (hostID === 0) return invalid(`${file} gives ${JSON.stringify(who)} the machine's own root`)
    if (hostID + size > 4294967294) return invalid(`${file} has a range for ${JSON.stringify(who)} beyond all ids`)
  }
  return mappings
}

type Names = { name: string; id: string }

function userOf(text: string, { passwd }: AccountFiles): Names & { gid: number } {
  const accounts = parsePasswd(passwd)
  const account = accounts.find(({ name }) => name === text) ?? accounts.find(({ uid }) => String(uid) === text)
  if (account === undefined) return invalid(`there is no user ${JSON.stringify(text)}`)
  return { name: account.name, id: String(account.uid), gid: account.gid }
}

function groupOf(text: string, { group }: AccountFiles): Names {
  const groups = parseGroup(group)
  const found = groups.find(({ name }) => name === text) ?? groups.find(({ gid }) => String(gid) === text)
  if (found === undefined) return invalid(`there is no group ${JSON.stringify(text)}`)
  return { name: found.name, id: String(found.gid) }
}

/**
 * `default`, `user[:group]` or `uid[:gid]`. The group's name is looked for in subgid(5), the user's where none is given.
 * Throws invalid for who is not there or has no ids to give.
 */
export function subordinateIds(option: string, files: AccountFiles): IdMaps {
  const [user = '', group, ...rest] = option.split(':')
  if (user === '' || group === '' || rest.length > 0)
    return invalid(`${JSON.stringify(option)} is none of default, user[:group], uid[:gid]`)
  const owner = user === 'default' ? { name: defaultRemapUser, id: defaultRemapUser } : userOf(user, files)
  const members = group === undefined ? owner : groupOf(group, files)
  return {
    uids: checked(rangesOf(files.subuid, [owner.name, owner.id]), user, '/etc/subuid'),
    gids: checked(rangesOf(files.subgid, [members.name, members.id]), group ?? user, '/etc/subgid'),
  }
}

/** Below are the ids of people; where useradd(8) begins, too. */
const firstSubordinate = 100_000
const usualCount = 65_536

/** The text with a range for the user behind all that are given already; the same where it has one. */
export function withDefaultRange(text: string): string {
  if (rangesOf(text, [defaultRemapUser]).length > 0) return text
  const ends = text.split('\n').map((line) => {
    const [, first, count] = line.trim().split(':')
    return Number(first ?? 0) + Number(count ?? 0)
  })
  const first = Math.max(firstSubordinate, ...ends.filter(Number.isSafeInteger))
  const before = text === '' || text.endsWith('\n') ? text : `${text}\n`
  return `${before}${defaultRemapUser}:${first}:${usualCount}\n`
}
