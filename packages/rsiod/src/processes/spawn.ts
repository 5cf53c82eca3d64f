// Starts a data process as a child of the main process, with Node's channel between them. Invariant: a message to a process that has
// exited is dropped; the exit is reported once, after the last message.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { killChild } from '@rsio/common/lib/kill-child';
import { sendConnection } from '../frontends/streams/socket.ts';
import { inheritCommand } from '../keeper/inherit-command.ts';
import { PROCESS_OUTPUT_MAX_CHARS } from './limits.ts';
import type { Spawned, SpawnEvents } from './data-process.ts';
import type { ToProcess } from './messages.ts';

const MODULE = new URL(import.meta.url.endsWith('.ts') ? '../data-process.ts' : './data-process.js', import.meta.url);

/** The environment variable with the number of a data process; `ps e` shows the variable. */
export const NUMBER_VARIABLE = 'RSIO_DATA_PROCESS';

export function spawnProcess(number: number, places: readonly number[] | null, events: SpawnEvents): Spawned {
  const plain = [process.execPath, ...process.execArgv, fileURLToPath(MODULE)];
  const command = places === null ? plain : inheritCommand({ keeper: process.ppid, parent: process.pid, places }, plain);
  const [program = process.execPath, ...values] = command;
  const child = spawn(program, values, {
    env: { ...process.env, [NUMBER_VARIABLE]: String(number) },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
  });
  let output = '';
  let hasExited = false;
  const exited = (how: string): void => {
    if (hasExited) return;
    hasExited = true;
    const last = output.trim();
    events.exited(last === '' ? how : `${how}: ${last}`);
  };
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-PROCESS_OUTPUT_MAX_CHARS)));
  child.on('message', (message) => void (hasExited || events.message(message)));
  child.on('error', (error) => exited(error.message));
  child.on('close', (code, signal) => exited(signal === null ? `exit code ${code}` : `signal ${signal}`));
  return {
    pid: child.pid ?? 0,
    send: (message: ToProcess) => {
      if (child.connected) child.send(message, () => undefined);
    },
    sendConnection: (message, socket) => {
      if (child.connected) sendConnection(child, message, socket);
      else socket.destroy();
    },
    kill: () => killChild(child),
  };
}
