// The memory of rssrv's processes at rest, by default as proportional set sizes, which count shared pages once. Standby processes are
// counted separately, because they wait for the next client.

import { commandOf, hasOpen, parentOf, pssBytesOf } from './proc.ts';

export interface ServerMemory {
  readonly listenerBytes: number;
  /** The processes of clients. */
  readonly workersBytes: number;
  readonly workers: number;
  /** Helper programs of listener and workers. */
  readonly helpersBytes: number;
  /** Sum of the fields above. */
  readonly sumBytes: number;
  readonly sparesBytes: number;
  readonly spares: number;
}

/**
 * `processes`: the listener and its descendants. `file`: a file that the client has open. A worker that does not have this file open is a
 * standby process.
 */
export function memoryOf(processes: readonly number[], file: string, bytesOf: (pid: number) => number = pssBytesOf): ServerMemory {
  const kinds = { listener: 0, worker: 0, helper: 0, spare: 0 };
  const counts = { listener: 0, worker: 0, helper: 0, spare: 0 };
  const [listener = 0] = processes;
  for (const pid of processes) {
    const kind = kindOf(pid, listener, file);
    kinds[kind] += bytesOf(pid);
    counts[kind]++;
  }
  return {
    listenerBytes: kinds.listener,
    workersBytes: kinds.worker,
    workers: counts.worker,
    helpersBytes: kinds.helper,
    sumBytes: kinds.listener + kinds.worker + kinds.helper,
    sparesBytes: kinds.spare,
    spares: counts.spare,
  };
}

function kindOf(pid: number, listener: number, file: string): 'listener' | 'worker' | 'helper' | 'spare' {
  if (pid === listener) return 'listener';
  const isWorker = parentOf(pid) === listener && commandOf(pid).includes('worker');
  if (!isWorker) return 'helper';
  return hasOpen(pid, file) ? 'worker' : 'spare';
}
