// Notes how much heap daemons allocate. Their host needs `command` as the prefix of its programs, which loads gc-probe.ts into them.
// Invariant: each history covers exactly the time between a `begin` and the next `end`.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { launcher } from '../programs/programs.ts';
import { waitFor } from '../programs/wait-for.ts';
import type { HeapHistory } from './heap-history.ts';

const PROBE = path.join(launcher('..'), 'test/dist/support/heap/gc-probe.js');
const WRITTEN_MS = 10_000;
/** Time between the signal that starts the recording and the load. */
const BEGUN_MS = 100;

export class NotedHeap {
  readonly command: readonly string[];
  private readonly folder = mkdtempSync(path.join(os.tmpdir(), 'rsio-heap-'));

  constructor(hosts: { onClean(clean: () => void): void }) {
    hosts.onClean(() => rmSync(this.folder, { recursive: true, force: true }));
    this.command = ['env', `NODE_OPTIONS=--import=${pathToFileURL(PROBE).href}`, `RSIO_HEAP_NOTES=${this.folder}`];
  }

  async begin(pids: readonly number[]): Promise<void> {
    for (const pid of pids) process.kill(pid, 'SIGUSR2');
    await after(BEGUN_MS);
  }

  /** Resolves with the history of each process since `begin`. */
  async end(pids: readonly number[]): Promise<HeapHistory[]> {
    for (const pid of pids) process.kill(pid, 'SIGUSR2');
    return Promise.all(pids.map((pid) => this.historyOf(pid)));
  }

  private async historyOf(pid: number): Promise<HeapHistory> {
    const file = path.join(this.folder, `${pid}.json`);
    await waitFor(() => existsSync(file), WRITTEN_MS, `The process has written ${file}`);
    const history = JSON.parse(readFileSync(file, 'utf8')) as HeapHistory;
    rmSync(file);
    return history;
  }
}
