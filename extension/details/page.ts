import { randomBytes } from 'node:crypto'
import * as vscode from 'vscode'

/** The frame of the page: no script but the one with the nonce, nothing from elsewhere. */
export function pageHtml(webview: vscode.Webview, extension: vscode.Uri, state: object): string {
  const nonce = randomBytes(18).toString('base64')
  const built = (name: string): string =>
    webview.asWebviewUri(vscode.Uri.joinPath(extension, 'dist', 'webview', name)).toString()
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${webview.cspSource}`,
    `font-src ${webview.cspSource}`,
    `img-src ${webview.cspSource} data:`,
  ].join('; ')
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Container</title>
<link rel="stylesheet" href="${built('details.css')}">
</head>
<body>
<main id="page" data-state="${asAttribute(JSON.stringify(state))}"></main>
<script nonce="${nonce}" src="${built('details.js')}"></script>
</body>
</html>`
}

const asAttribute = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
