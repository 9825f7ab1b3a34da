/** The Dev Containers CLI, unchanged: a folder with an image, up and exec; it calls the docker command line. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { TestEngine } from '../engine/engine.ts'
import { noDocker, noPackages, packagesHome } from './client-bed.ts'

const settings = {
  name: 'a folder',
  image: 'host',
  remoteUser: 'root',
  updateRemoteUserUID: false,
  containerEnv: { COLOUR: 'red' },
  remoteEnv: { SHADE: 'dark' },
  mounts: ['source=cellar,target=/cellar,type=volume'],
  runArgs: ['--network=none'],
  postCreateCommand: 'echo made > /tmp/made',
}

describe('@devcontainers/cli', { skip: noDocker || noPackages }, () => {
  let engine: TestEngine
  let folder: string
  before(async () => {
    engine = await TestEngine.start()
    folder = join(engine.directory, 'folder')
    mkdirSync(join(folder, '.devcontainer'), { recursive: true })
    writeFileSync(join(folder, '.devcontainer/devcontainer.json'), JSON.stringify(settings))
  })
  after(async () => {
    await engine?.[Symbol.asyncDispose]()
  })

  const program = join(packagesHome, 'node_modules/@devcontainers/cli/devcontainer.js')
  const cli = (verb: string, ...more: string[]) =>
    engine.client(process.execPath, [program, verb, '--workspace-folder', folder, ...more])

  test('up makes a container, once; exec runs in the folder, with its environment', async () => {
    const up = await cli('up')
    assert.equal(up.code, 0, up.error)
    const { outcome, containerId, remoteWorkspaceFolder } = JSON.parse(up.out) as Record<string, string>
    assert.equal(outcome, 'success')
    const ran = await cli('exec', 'sh', '-c', 'cat /tmp/made; pwd; echo $COLOUR $SHADE; echo kept > /cellar/x; exit 3')
    assert.deepEqual([ran.code, ran.out], [3, `made\n${remoteWorkspaceFolder}\nred dark\n`])
    const again = await cli('up')
    assert.equal((JSON.parse(again.out) as Record<string, string>).containerId, containerId)
    const anew = await cli('up', '--remove-existing-container')
    assert.notEqual((JSON.parse(anew.out) as Record<string, string>).containerId, containerId)
    assert.equal((await cli('exec', 'cat', '/cellar/x')).out, 'kept\n')
  })
})
