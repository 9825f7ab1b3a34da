import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cleanFileMappings } from '../../../engine/kernel/memory.ffi.ts'

type Wanted = { permissions?: string; inode?: number; name?: string; anonymous?: number; swap?: number }

function smaps(...mappings: Wanted[]): string {
  return mappings
    .map(({ permissions = 'r-xp', inode = 4711, name = '/bin/program', anonymous = 0, swap = 0 }, index) => {
      const from = 0x7f0000000000 + index * 0x10000
      return [
        `${from.toString(16)}-${(from + 0x3000).toString(16)} ${permissions} 00001000 fe:00 ${inode}   ${name}`,
        'Size:                 12 kB',
        'Rss:                  12 kB',
        'Private_Dirty:         0 kB',
        `Anonymous:      ${String(anonymous).padStart(8)} kB`,
        'AnonHugePages:         0 kB',
        `Swap:           ${String(swap).padStart(8)} kB`,
        'VmFlags: rd ex mr mw me',
        '',
      ].join('\n')
    })
    .join('')
}

const found = (...mappings: Wanted[]): number[] =>
  cleanFileMappings(smaps(...mappings)).map(({ start, length }) => {
    assert.equal(length, 0x3000n)
    return Number((start - 0x7f0000000000n) / 0x10000n)
  })

test('text and constants of programs are clean', () => {
  assert.deepEqual(found({}, { permissions: 'r--p' }, { name: '/' }), [0, 1, 2])
})

test('what can be written, is shared, or is no file is left alone', () => {
  assert.deepEqual(
    found(
      { permissions: 'rw-p' },
      { permissions: 'rwxp' },
      { permissions: 'r--s' },
      { permissions: '---p' },
      { inode: 0, name: '' },
      { inode: 0, name: '[vdso]' },
      {},
    ),
    [6],
  )
})

test('one page that is no more the file’s, in memory or swapped out, and the mapping is left alone', () => {
  assert.deepEqual(found({ anonymous: 4 }, { swap: 4 }, { anonymous: 128 }, {}), [3])
})

test('a kernel that does not tell gets nothing taken away', () => {
  assert.deepEqual(cleanFileMappings(smaps({}).replace(/^Anonymous:.*\n/m, '')), [])
})
