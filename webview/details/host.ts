import type { FromPage, PageState, ToPage } from '../messages.ts'

type Api = { postMessage(message: FromPage): void; getState(): PageState | undefined; setState(state: PageState): void }
declare function acquireVsCodeApi(): Api

const api = acquireVsCodeApi()

export const send = (message: FromPage): void => api.postMessage(message)

export const keepState = (state: PageState): void => api.setState(state)

/** What the page kept, else what the extension wrote into it. */
export const initialState = (page: HTMLElement): PageState =>
  api.getState() ?? (JSON.parse(page.dataset.state ?? '{}') as PageState)

/** VS Code alone can post into this frame. */
export const onMessage = (listener: (message: ToPage) => void): void =>
  window.addEventListener('message', (event: MessageEvent<ToPage>) => listener(event.data))
