// Starts the process of a peer as a child of the listener, with Node's channel between them. Invariant: a message to a process that has
// exited is dropped; the exit is reported once, after the last message.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { killChild } from '@rsio/common/lib/kill-child';
import { PEER_OUTPUT_MAX_CHARS } from '../limits.ts';
import type { ToPeer } from './messages.ts';

const MODULE = new URL(import.meta.url.endsWith('.ts') ? '../../peer.ts' : './peer.js', import.meta.url);

export interface SpawnedPeer {
  /** 0 if the process could not be started. */
  readonly pid: number;
  send(message: ToPeer): void;
  kill(): void;
}

export interface SpawnEvents {
  message(value: unknown): void;
  /** `how`: such as `exit code 1`, with the last output of the process. */
  exited(how: string): void;
}

export type SpawnPeer = (events: SpawnEvents) => SpawnedPeer;

/** Starts the process with the program that belongs to this rssrv. */
export const spawnPeer: SpawnPeer = (events) => spawnPeerFrom([...process.execArgv, fileURLToPath(MODULE)], events);

/** `words`: the arguments of Node. */
export function spawnPeerFrom(words: readonly string[], events: SpawnEvents): SpawnedPeer {
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let output = '';
  let hasExited = false;
  const exited = (how: string): void => {
    if (hasExited) return;
    hasExited = true;
    const last = output.trim();
    events.exited(last === '' ? how : `${how}: ${last}`);
  };
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-PEER_OUTPUT_MAX_CHARS)));
  child.on('message', (message) => void (hasExited || events.message(message)));
  child.on('error', (error) => {
    if (child.pid === undefined) exited(error.message);
  });
  child.on('close', (code, signal) => exited(signal === null ? `exit code ${code}` : `signal ${signal}`));
  return {
    pid: child.pid ?? 0,
    send: (message) => {
      if (child.connected) child.send(message, () => undefined);
    },
    kill: () => killChild(child),
  };
}
