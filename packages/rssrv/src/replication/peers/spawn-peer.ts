// Starts the process of a peer as a child of the listener, with Node's channel between them. Invariant: the process runs the program that
// belongs to this rssrv.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { killChild } from '@rsio/base/lib/kill-child';
import { type ChildEvents, sendToChild, watchChild } from '@rsio/base/lib/watched-child';
import { PEER_OUTPUT_MAX_CHARS } from '../limits.ts';
import type { ToPeer } from './messages.ts';

const MODULE = new URL(import.meta.url.endsWith('.ts') ? '../../peer.ts' : './peer.js', import.meta.url);

export interface SpawnedPeer {
  /** 0 if the process could not be started. */
  readonly pid: number;
  send(message: ToPeer): void;
  kill(): void;
}

export type SpawnPeer = (events: ChildEvents) => SpawnedPeer;

/** Starts the process with the program that belongs to this rssrv. */
export const spawnPeer: SpawnPeer = (events) => spawnPeerFrom([...process.execArgv, fileURLToPath(MODULE)], events);

/** `words`: the arguments of Node. */
export function spawnPeerFrom(words: readonly string[], events: ChildEvents): SpawnedPeer {
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  watchChild(child, PEER_OUTPUT_MAX_CHARS, events);
  return {
    pid: child.pid ?? 0,
    send: (message) => sendToChild(child, message),
    kill: () => killChild(child),
  };
}
