/**
 * A real VS Code with the built extension in it: its server with directories of its own, and Chromium as its window.
 * Everything of one bed lies under one temporary directory and is gone with it.
 */
import {
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Browser, chromium, type FrameLocator, type Locator, type Page } from 'playwright-core'
import { ensureCodeServer, type Server, type ServerUser, startServer, stopServer } from '../../.ci/code-server.mjs'

const projectRoot = resolve(import.meta.dirname, '..', '..')
const screenshots = join(projectRoot, 'test-results')
const browsers = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Why there can be no bed here, for a skip; false where there can. Called by test files, which .ci/test.mjs prepared. */
export const noBed = (): string | false =>
  process.env.DRYDOCK_NO_EDITOR !== undefined
    ? process.env.DRYDOCK_NO_EDITOR
    : browsers.some((path) => existsSync(path))
      ? false
      : 'needs Chromium (package chromium)'

/** One screen, no surprises: nothing from the network, no animations, no page that opens by itself. */
const quiet = {
  'workbench.startupEditor': 'none',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.reduceMotion': 'on',
  'workbench.tips.enabled': false,
  'window.autoDetectColorScheme': true,
  'chat.disableAIFeatures': true,
  'telemetry.telemetryLevel': 'off',
  'extensions.autoUpdate': false,
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'terminal.integrated.gpuAcceleration': 'off',
  'files.simpleDialog.enable': true,
}

const browserFlags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-features=LocalNetworkAccessChecks',
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
]

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
type AxeResult = { violations: { id: string; help: string; nodes: { html: string }[] }[] }

export type BedOptions = {
  /** Opened in the window; made by the caller. */
  folder: string
  /** The extension: a folder with package.json and dist, or the path of a .vsix. Default: this project. */
  extension?: string
  settings?: Record<string, unknown>
  env?: Record<string, string>
  serverArgs?: readonly string[]
  /** Added to the address, for extension tests (see in-host.ts). */
  payload?: readonly (readonly [string, string])[]
  colorScheme?: 'light' | 'dark'
  /** Whose server it is; default: that of whoever runs the test. */
  user?: ServerUser
  /** VS Code asks whether the folder is trusted. */
  asksForTrust?: boolean
  /** Runs before the window loads. */
  prepare?: (page: Page) => Promise<void>
}

export class Bed implements AsyncDisposable {
  readonly page: Page
  readonly server: Server
  /** Of this bed alone: a place for sockets and data of the test. */
  readonly directory: string
  readonly #cleanup: AsyncDisposableStack

  private constructor(page: Page, server: Server, directory: string, cleanup: AsyncDisposableStack) {
    this.page = page
    this.server = server
    this.directory = directory
    this.#cleanup = cleanup
  }

  static async open(options: BedOptions): Promise<Bed> {
    await using cleanup = new AsyncDisposableStack()
    await ensureCodeServer()
    const directory = cleanup.adopt(mkdtempSync(join(tmpdir(), 'drydock-bed-')), (path) =>
      rmSync(path, { recursive: true, force: true, maxRetries: 5 }),
    )
    const server = cleanup.adopt(await serve(directory, options), ({ child }) => stopServer(child))
    const browser = cleanup.adopt(await launch(), (open) => open.close())
    const context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      colorScheme: options.colorScheme ?? 'dark',
      reducedMotion: 'reduce',
    })
    const page = cleanup.adopt(await context.newPage(), (open) => open.close())
    await options.prepare?.(page)
    const query = new URLSearchParams({ folder: options.folder })
    if (options.payload !== undefined) {
      const here = server.address.replace('http://', '')
      const remote = options.payload.map(([name, path]) => [name, `vscode-remote://${here}${path}`])
      query.set('payload', JSON.stringify(remote))
    }
    await page.goto(`${server.address}/?${query}`)
    await page.locator('.monaco-workbench .statusbar').waitFor({ timeout: 60_000 })
    return new Bed(page, server, directory, cleanup.move())
  }

  /** Runs a command by its title in the command palette, as a user does. */
  async command(title: string): Promise<void> {
    await this.page.keyboard.press('F1')
    const box = this.page.locator('.quick-input-widget input').first()
    await box.waitFor()
    await box.fill(`>${title}`)
    await this.page.locator('.quick-input-list .monaco-list-row').filter({ hasText: title }).first().waitFor()
    await this.page.keyboard.press('Enter')
  }

  /** The pick that is open: chooses the row with this text. */
  async pick(text: string): Promise<void> {
    await this.page.locator('.quick-input-list .monaco-list-row').filter({ hasText: text }).first().click()
  }

  /** Types into the input that is open, and accepts. */
  async answer(text: string): Promise<void> {
    const box = this.page.locator('.quick-input-widget input').first()
    await box.waitFor()
    await box.fill(text)
    await this.page.keyboard.press('Enter')
  }

  /** An item of any tree: explorer or one of our views. */
  treeItem(name: string | RegExp) {
    return this.page.getByRole('treeitem', { name }).first()
  }

  /** The content of the webview that is open, inside the two frames that VS Code puts around it. */
  get webview(): FrameLocator {
    return this.page.frameLocator('iframe.webview.ready').frameLocator('#active-frame')
  }

  /** What axe finds wrong in the open page of ours for people who do not see it, or have no mouse; one line each. */
  async accessibilityProblems(): Promise<string[]> {
    for (const frame of this.page.frames()) {
      if ((await frame.locator('body > #page').count()) === 0) continue
      await frame.evaluate(axe)
      const { violations } = await frame.evaluate(() =>
        (globalThis as unknown as { axe: { run(): Promise<AxeResult> } }).axe.run(),
      )
      return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(', ')}`)
    }
    throw new Error('no page of the extension is open')
  }

  async openView(name: string): Promise<void> {
    await this.page.locator('.activitybar').getByRole('tab', { name }).first().click()
  }

  /** Right in the beginning, before the window knows that it is trusted, an entry is greyed out: then once more. */
  async contextMenu(item: string | RegExp, entry: string | RegExp): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      await this.treeItem(item).click({ button: 'right' })
      const found = this.page.getByRole('menuitem', { name: entry }).first()
      await found.waitFor()
      if ((await found.isEnabled()) || attempt === 20) return this.#choose(found)
      await this.page.keyboard.press('Escape')
      await found.waitFor({ state: 'detached' })
      await this.page.waitForTimeout(250)
    }
  }

  /** A menu takes no click in its first moments, which could be the end of the one that opened it: until it closes. */
  async #choose(entry: Locator): Promise<void> {
    do await entry.click({ timeout: 5000 })
    while (!(await closed(entry)))
  }

  /** Into the visible terminal. */
  async type(text: string): Promise<void> {
    await this.page.locator('.terminal-wrapper.active .xterm-helper-textarea').focus()
    await this.page.keyboard.type(text)
  }

  /** What the visible terminal shows, lines joined by newlines. */
  async terminalText(): Promise<string> {
    const rows = this.page.locator('.terminal-wrapper.active .xterm-rows > div')
    return (await rows.allTextContents()).map((line) => line.replaceAll('\u00a0', ' ').trimEnd()).join('\n')
  }

  /** Resolves when the visible terminal shows a match; the last text is in the error where it never does. */
  async terminalShows(pattern: RegExp, patience = 30_000): Promise<void> {
    const until = Date.now() + patience
    for (;;) {
      const text = await this.terminalText()
      if (pattern.test(text.trimEnd())) return
      if (Date.now() > until) throw new Error(`the terminal does not show ${pattern}:\n${text}`)
      await this.page.waitForTimeout(50)
    }
  }

  /** Into test-results/NAME-contrast.png, NAME-light.png and NAME-dark.png. */
  async screenshot(name: string): Promise<void> {
    mkdirSync(screenshots, { recursive: true })
    const looks = [
      ['contrast', 'dark', '.hc-black'],
      ['light', 'light', '.vs'],
      ['dark', 'dark', '.vs-dark'],
    ] as const
    for (const [look, colorScheme, theme] of looks) {
      await this.page.emulateMedia({ colorScheme, forcedColors: look === 'contrast' ? 'active' : 'none' })
      await this.page.locator(`.monaco-workbench${theme}`).waitFor()
      await this.page.screenshot({ path: join(screenshots, `${name}-${look}.png`), animations: 'disabled' })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync()
  }
}

const closed = (entry: Locator): Promise<boolean> =>
  entry.waitFor({ state: 'detached', timeout: 1000 }).then(
    () => true,
    () => false,
  )

async function serve(directory: string, options: BedOptions): Promise<Server> {
  const extension = options.extension ?? projectRoot
  const [dataDirectory, extensionsDirectory, home] = ['data', 'extensions', 'home'].map((name) => join(directory, name))
  if (!dataDirectory || !extensionsDirectory || !home) throw new Error('unreachable')
  for (const path of [join(dataDirectory, 'data', 'Machine'), extensionsDirectory, home])
    mkdirSync(path, { recursive: true })
  const settings = { ...quiet, ...options.settings }
  writeFileSync(join(dataDirectory, 'data', 'Machine', 'settings.json'), JSON.stringify(settings))
  const packed = extension.endsWith('.vsix')
  if (!packed && options.payload === undefined)
    symlinkSync(extension, join(extensionsDirectory, 'drydock.drydock-0.1.0'))
  const install = packed ? ['--install-extension', extension, '--start-server'] : []
  const trust = options.asksForTrust === true ? [] : ['--disable-workspace-trust']
  const args = [...install, ...trust, ...(options.serverArgs ?? [])]
  const { user } = options
  if (user !== undefined)
    for (const path of [directory, ...everythingIn(directory)]) lchownSync(path, user.uid, user.gid)
  const whose = user === undefined ? {} : { user }
  return startServer({ dataDirectory, extensionsDirectory, args, env: { HOME: home, ...options.env }, ...whose })
}

const everythingIn = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name))

function launch(): Promise<Browser> {
  const executablePath = browsers.find((path) => existsSync(path))
  if (executablePath === undefined) throw new Error(`none of ${browsers.join(', ')} is here`)
  return chromium.launch({ executablePath, args: browserFlags })
}
