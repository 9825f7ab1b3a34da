/**
 * The ladder, lowest first. A file imports its own folder or one that stands on a lower rung; folders that share a
 * rung are siblings and do not see each other. test/architecture.test.ts holds every file to it.
 */
export const ladder: readonly (readonly string[])[] = [
  ['base'],
  ['trace', 'spec'],
  ['kernel'],
  ['cgroup'],
  ['snapshots'],
  ['runtime', 'resolver'],
  ['shim'],
  ['images', 'network', 'volumes'],
  ['lifecycle'],
  ['build'],
  ['api'],
  ['cli'],
]

/** Modules that only the named files (path prefixes) may import; everything else of Node is free. */
export const reserved: readonly { module: string; importers: readonly string[] }[] = [
  { module: 'vscode', importers: ['extension/', 'test/extension/'] },
  { module: 'koffi', importers: ['engine/kernel/*.ffi.ts'] },
  {
    module: 'node:child_process',
    importers: ['engine/shim/spawner-client.ts', 'engine/cli/setup', 'extension/', 'test/'],
  },
  { module: 'node:worker_threads', importers: ['engine/images/unpack', 'test/'] },
  { module: 'node:sqlite', importers: ['engine/base/database.ts', 'test/'] },
]
