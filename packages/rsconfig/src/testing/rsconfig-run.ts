// Runs rsconfig from its arguments to its output, in a root directory made for the test. The test plays rsiod on a real control socket.
// Invariant: each test begins with an empty root directory and without rsiod, and both are removed after the test.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ControlServer, startControlServer } from '@rsio/common/control/control-server';
import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import { executeProgram } from '@rsio/base/daemon/arguments';
import { quietLog } from '@rsio/base/log/log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach } from 'vitest';
import { rsconfig, rsconfigSpec } from '../program.ts';

export let root = '';
export let daemon: ControlServer | null = null;

export function useRsconfig(): void {
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'rsio-rc-'));
    daemon = null;
  });

  afterEach(async () => {
    await daemon?.close();
    await removeFolder(root);
  });
}

export async function serveControl(handlers: Partial<ControlHandlers>): Promise<void> {
  daemon = await startControlServer(join(root, 'run/rsio/rsiod/control'), CONTROL_METHODS, handlers, quietLog);
}

interface RunOptions {
  /** Answers the questions that rsconfig asks on the terminal. If `ask` is not set, rsconfig has no terminal. */
  readonly ask?: (question: string) => Promise<string>;
  readonly clock?: FakeClock;
  /** The content of stdin. */
  readonly input?: string;
}

export async function run(line: string | readonly string[], { ask, clock = new FakeClock(), input = '' }: RunOptions = {}) {
  let [out, err, ids] = ['', '', 0];
  const ports = {
    clock,
    ask: ask ?? null,
    newId: () => `id-${++ids}`,
    input: async () => input,
    waiting: { progress: null, onStop: () => () => undefined },
  };
  const code = await executeProgram(rsconfigSpec, (invocation) => rsconfig(invocation, ports), {
    argv: typeof line === 'string' ? line.split(' ') : line,
    env: { RSIO_ROOT: root },
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}
