// Starts a data process as a child of the main process, with Node's channel between them. Invariant: a connection that cannot be passed to
// the process is closed.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { killChild } from '@rsio/base/lib/kill-child';
import { type ChildEvents, sendToChild, watchChild } from '@rsio/base/lib/watched-child';
import { sendConnection } from '../frontends/streams/socket.ts';
import { inheritCommand } from '../keeper/inherit-command.ts';
import { PROCESS_OUTPUT_MAX_CHARS } from './limits.ts';
import type { Spawned } from './data-process.ts';
import type { ToProcess } from './messages.ts';

const MODULE = new URL(import.meta.url.endsWith('.ts') ? '../data-process.ts' : './data-process.js', import.meta.url);

/** The environment variable with the number of a data process; `ps e` shows the variable. */
export const NUMBER_VARIABLE = 'RSIO_DATA_PROCESS';

export function spawnProcess(number: number, places: readonly number[] | null, events: ChildEvents): Spawned {
  const plain = [process.execPath, ...process.execArgv, fileURLToPath(MODULE)];
  const command = places === null ? plain : inheritCommand({ keeper: process.ppid, parent: process.pid, places }, plain);
  const [program = process.execPath, ...values] = command;
  const child = spawn(program, values, {
    env: { ...process.env, [NUMBER_VARIABLE]: String(number) },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
  });
  watchChild(child, PROCESS_OUTPUT_MAX_CHARS, events);
  return {
    pid: child.pid ?? 0,
    send: (message: ToProcess) => sendToChild(child, message),
    sendConnection: (message, socket) => {
      if (child.connected) sendConnection(child, message, socket);
      else socket.destroy();
    },
    kill: () => killChild(child),
  };
}
