// The memory of rssrv's processes at rest: proportional set sizes, so that what processes share counts once. Spares are apart: they are
// there for the next client, whoever measures this one.

import type { Server } from './servers/server.ts';
import { commandOf, hasOpen, parentOf, pssBytesOf } from './proc.ts';

export interface ServerMemory {
  readonly listenerBytes: number;
  /** The processes of clients. */
  readonly workersBytes: number;
  /** What else listener and workers have started. */
  readonly helpersBytes: number;
  /** All of these. */
  readonly sumBytes: number;
  readonly sparesBytes: number;
  readonly spares: number;
}

/** `file`: what the client has open; it tells the client's process from a spare. */
export function memoryOf(rssrv: Server, file: string): ServerMemory {
  const kinds = { listener: 0, worker: 0, helper: 0, spare: 0 };
  let spares = 0;
  for (const pid of rssrv.processes()) {
    const kind = kindOf(pid, rssrv.pid, file);
    kinds[kind] += pssBytesOf(pid);
    if (kind === 'spare') spares++;
  }
  return {
    listenerBytes: kinds.listener,
    workersBytes: kinds.worker,
    helpersBytes: kinds.helper,
    sumBytes: kinds.listener + kinds.worker + kinds.helper,
    sparesBytes: kinds.spare,
    spares,
  };
}

function kindOf(pid: number, listener: number, file: string): 'listener' | 'worker' | 'helper' | 'spare' {
  if (pid === listener) return 'listener';
  const isWorker = parentOf(pid) === listener && commandOf(pid).includes('worker');
  if (!isWorker) return 'helper';
  return hasOpen(pid, file) ? 'worker' : 'spare';
}
