#!/usr/bin/env node
/**
 * Stands in for the desktop's VS Code under @vscode/test-electron: takes its flags, runs the same tests in the
 * extension host of VS Code in a browser, and leaves with their exit code.
 */
import { resolve } from 'node:path'
import { Bed } from './bed.ts'

const flag = (name: string): string | undefined =>
  process.argv.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3)

const developed = flag('extensionDevelopmentPath')
const suite = flag('extensionTestsPath')
const folder = process.argv.slice(2).find((word) => !word.startsWith('-'))
if (developed === undefined || suite === undefined || folder === undefined)
  throw new Error('usage: browser-code FOLDER --extensionDevelopmentPath=PATH --extensionTestsPath=PATH')

const { promise, resolve: exit } = Promise.withResolvers<number>()
const settings = JSON.parse(process.env.DRYDOCK_TEST_SETTINGS ?? '{}')
await using bed = await Bed.open({
  folder: resolve(folder),
  settings,
  serverArgs: ['--enable-smoke-test-driver'],
  payload: [
    ['extensionDevelopmentPath', resolve(developed)],
    ['extensionTestsPath', resolve(suite)],
  ],
  async prepare(page) {
    await page.exposeFunction('codeAutomationLog', (type: string, words: unknown[]) => {
      if (type !== 'trace' && type !== 'debug') console.log(...words)
    })
    await page.exposeFunction('codeAutomationExit', (code: number) => exit(code))
  },
})
process.exitCode = await promise
await bed.page.context().close()
