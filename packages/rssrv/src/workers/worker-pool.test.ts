// The worker that a new session is given, with stand-ins for processes that report how many sessions they have.
// Real processes are left to the integration tests.

import { expect, test } from 'vitest';
import type { WorkerSession } from './worker-session.ts';
import { type Worker, WorkerPool } from './worker-pool.ts';

/** Stands for a process: says how many it has, and can be gone. */
class Stand {
  isGone = false;
  load = 0;
  isEndingOne = false;
  readonly sent: unknown[] = [];
  readonly ended = Promise.resolve();

  readonly number: number;

  constructor(number: number) {
    this.number = number;
  }

  get isOpen(): boolean {
    return !this.isGone;
  }

  addSession(session: string): WorkerSession {
    this.load++;
    return { session, pid: this.number } as unknown as WorkerSession;
  }

  send(message: unknown): void {
    this.sent.push(message);
  }

  kill(): void {
    this.isGone = true;
  }
}

function poolOf(processes: number): { pool: WorkerPool; all: Stand[] } {
  const all: Stand[] = [];
  const start = (): Worker => {
    const stand = new Stand(all.length + 1);
    all.push(stand);
    return stand as unknown as Worker;
  };
  return { pool: new WorkerPool(start, processes), all };
}

test('a session has a process of its own as long as there may be one more, then the one with the fewest', () => {
  const { pool, all } = poolOf(3);
  pool.fill();
  expect(all).toHaveLength(1);
  const pids = (): number => pool.take('s').pid;
  expect([pids(), pids(), pids(), pids(), pids()]).toEqual([1, 2, 3, 1, 2]);
  expect(all).toHaveLength(3);
  all[0]!.isGone = true;
  expect(pids(), 'in the place of one that is gone').toBe(4);
});

test('a process in which a session is being ended is taken last', () => {
  const { pool, all } = poolOf(2);
  pool.take('a');
  pool.take('b');
  pool.take('c');
  all[1]!.isEndingOne = true;
  expect(pool.take('d').pid).toBe(1);
  all[0]!.isEndingOne = true;
  expect(pool.take('e').pid).toBe(2);
});

test('the standby worker counts: no process is started ahead that none could have', () => {
  const { pool, all } = poolOf(1);
  pool.fill();
  pool.take('a');
  pool.fill();
  expect(all).toHaveLength(1);
  pool.processes = 2;
  pool.fill();
  expect(all).toHaveLength(2);
  expect(pool.take('b').pid).toBe(2);
});

test('every process with sessions opens the log anew', () => {
  const { pool, all } = poolOf(2);
  pool.take('a');
  pool.take('b');
  pool.reopenLogs('debug');
  expect(all.map(({ sent }) => sent)).toEqual([[{ type: 'reopen-log', level: 'debug' }], [{ type: 'reopen-log', level: 'debug' }]]);
});
