import 'uplot/dist/uPlot.min.css'
import './details.css'
import type { Action, Overview, Tab, ToPage } from '../messages.ts'
import { element } from './dom.ts'
import { initialState, keepState, onMessage, send } from './host.ts'
import { LimitsTab } from './limits-tab.ts'
import { namespacesTab } from './namespaces-tab.ts'
import { overviewTab } from './overview-tab.ts'
import { TabBar } from './tab-bar.ts'
import { traceTab } from './trace-tab.ts'

const page = document.getElementById('page')!
const state = initialState(page)
const title = element('h1', {}, state.name)
const status = element('p', { role: 'status' })
const toolbar = element('div', { class: 'buttons', role: 'toolbar', 'aria-label': 'Actions' })
const failure = element('p', { role: 'alert', class: 'message wrong' })
const limits = new LimitsTab((texts) => send({ type: 'set-limits', limits: texts }))
let ready = false

const bar = new TabBar((tab: Tab) => {
  state.tab = tab
  keepState(state)
  failure.textContent = ''
  if (ready) send({ type: 'tab', tab })
})

const buttons: readonly { action: Action; label: string; shown: (overview: Overview) => boolean }[] = [
  { action: 'start', label: 'Start', shown: (overview) => !overview.running },
  { action: 'shell', label: 'Shell', shown: (overview) => overview.running && !overview.paused },
  { action: 'unpause', label: 'Unpause', shown: (overview) => overview.paused },
  { action: 'stop', label: 'Stop', shown: (overview) => overview.running },
  { action: 'restart', label: 'Restart', shown: (overview) => overview.running },
  { action: 'pause', label: 'Pause', shown: (overview) => overview.running && !overview.paused },
  { action: 'browse', label: 'Open in Browser', shown: (overview) => overview.running && overview.published },
  { action: 'logs', label: 'Log', shown: () => true },
  { action: 'inspect', label: 'Inspect', shown: () => true },
  { action: 'remove', label: 'Remove', shown: (overview) => !overview.running },
]
const buttonOf = new Map(
  buttons.map(({ action, label }) => [
    action,
    element(
      'button',
      { type: 'button', class: 'secondary', hidden: true, click: () => send({ type: 'action', action }) },
      label,
    ),
  ]),
)
toolbar.append(...buttonOf.values())

function showOverview(overview: Overview): void {
  state.name = overview.name
  keepState(state)
  title.textContent = overview.name
  status.textContent = overview.state
  failure.textContent = ''
  for (const { action, shown } of buttons) buttonOf.get(action)!.hidden = !shown(overview)
  bar.panels.get('overview')?.replaceChildren(overviewTab(overview))
  limits.setLimits(overview.limits, overview.running)
}

function receive(message: ToPage): void {
  if (message.type === 'overview') showOverview(message.overview)
  else if (message.type === 'points') limits.setPoints(message.points)
  else if (message.type === 'point') limits.addPoint(message.point)
  else if (message.type === 'namespaces') bar.panels.get('namespaces')?.replaceChildren(namespacesTab(message.rows))
  else if (message.type === 'trace') bar.panels.get('trace')?.replaceChildren(traceTab(message.rows, message.total))
  else if (message.type === 'limits-saved') limits.saved(message.warnings)
  else if (message.type === 'limits-refused') limits.refused(message.field, message.sentence)
  else if (message.type === 'failed') failure.textContent = message.sentence
  else showGone()
}

function showGone(): void {
  status.textContent = 'removed'
  for (const button of buttonOf.values()) button.hidden = true
  failure.textContent = 'This container does not exist any more.'
}

bar.panels.get('limits')?.append(limits.root)
page.append(element('header', {}, title, status, toolbar), failure, bar.root, ...bar.panels.values())
onMessage(receive)
bar.choose(state.tab)
ready = true
send({ type: 'ready', tab: state.tab })
