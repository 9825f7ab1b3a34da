import { type Tab, tabs } from '../messages.ts'
import { element } from './dom.ts'

const titles: Record<Tab, string> = {
  overview: 'Overview',
  limits: 'Limits & Use',
  namespaces: 'Namespaces',
  trace: 'Last Start',
}

/** Tabs as the ARIA practices have them: arrow keys, Home and End move, only the chosen one is in the tab order. */
export class TabBar {
  readonly root = element('div', { role: 'tablist', 'aria-label': 'Details' })
  readonly panels = new Map<Tab, HTMLElement>()
  readonly #buttons = new Map<Tab, HTMLButtonElement>()
  readonly #chosen: (tab: Tab) => void

  constructor(chosen: (tab: Tab) => void) {
    this.#chosen = chosen
    for (const tab of tabs) {
      const attributes = { id: `tab-${tab}`, role: 'tab', type: 'button', 'aria-controls': `panel-${tab}` }
      const button = element('button', { ...attributes, click: () => this.choose(tab) }, titles[tab])
      this.#buttons.set(tab, button)
      this.panels.set(
        tab,
        element('div', { id: `panel-${tab}`, role: 'tabpanel', 'aria-labelledby': button.id, tabindex: 0 }),
      )
    }
    this.root.append(...this.#buttons.values())
    this.root.addEventListener('keydown', (event) => this.#key(event))
  }

  choose(tab: Tab): void {
    for (const name of tabs) {
      const button = this.#buttons.get(name)
      button?.setAttribute('aria-selected', String(name === tab))
      button?.setAttribute('tabindex', name === tab ? '0' : '-1')
      const panel = this.panels.get(name)
      if (panel) panel.hidden = name !== tab
    }
    this.#chosen(tab)
  }

  #key(event: KeyboardEvent): void {
    const now = tabs.findIndex((tab) => this.#buttons.get(tab) === event.target)
    const moves: Record<string, number> = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: tabs.length - 1 }
    const target = moves[event.key]
    if (now < 0 || target === undefined) return
    event.preventDefault()
    const tab = tabs[(target + tabs.length) % tabs.length] ?? 'overview'
    this.choose(tab)
    this.#buttons.get(tab)?.focus()
  }
}
