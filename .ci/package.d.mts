export function packageFor(target: 'linux-x64' | 'linux-arm64', directory?: string): Promise<string>
