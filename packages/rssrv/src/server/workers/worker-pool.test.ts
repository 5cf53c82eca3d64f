// Tests which worker a new session gets. The workers in these tests are stand-ins that report their number of sessions; test/integration
// tests real processes.

import { expect, test } from 'vitest';
import type { WorkerSession } from './worker-session.ts';
import { programVersion } from '@rsio/base/lib/version';
import { type Worker, workerEnvironment, WorkerPool } from './worker-pool.ts';

class Stand {
  isGone = false;
  load = 0;
  isEndingOne = false;
  readonly levels: string[] = [];
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

  send({ level }: { readonly level: string }): void {
    this.levels.push(level);
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

test('a session gets its own process while one more is allowed, then the one with the fewest sessions', () => {
  const { pool, all } = poolOf(3);
  pool.fill();
  expect(all).toHaveLength(1);
  const pids = (): number => pool.take('s').pid;
  expect([pids(), pids(), pids(), pids(), pids()]).toEqual([1, 2, 3, 1, 2]);
  expect(all).toHaveLength(3);
  all[0]!.isGone = true;
  expect(pids(), 'in the place of one that is gone').toBe(4);
});

test('a process with a session that is ending is chosen last', () => {
  const { pool, all } = poolOf(2);
  pool.take('a');
  pool.take('b');
  pool.take('c');
  all[1]!.isEndingOne = true;
  expect(pool.take('d').pid).toBe(1);
  all[0]!.isEndingOne = true;
  expect(pool.take('e').pid).toBe(2);
});

test('the standby worker counts: no standby is started that no session could get', () => {
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

test('every process is given the level of the log, also those on standby', () => {
  const { pool, all } = poolOf(3);
  pool.take('a');
  pool.take('b');
  pool.setLogLevel('debug');
  expect(all.map(({ levels }) => levels)).toEqual([['debug'], ['debug']]);
  pool.fill();
  pool.setLogLevel('info');
  expect(all.map(({ levels }) => levels)).toEqual([['debug', 'info'], ['debug', 'info'], ['info']]);
});

test('after a change of rights, the standby process is replaced, and those with sessions stay', () => {
  const { pool, all } = poolOf(3);
  pool.take('a');
  pool.fill();
  pool.renewStandby();
  expect(all.map(({ isGone }) => isGone)).toEqual([false, true, false]);
  expect(pool.take('b').pid).toBe(3);
});

test('a process does not use io_uring, whatever the listener was started with', () => {
  expect(workerEnvironment({ HOME: '/root', UV_USE_IO_URING: '1' })).toMatchObject({ HOME: '/root', UV_USE_IO_URING: '0' });
});

test('a process is told the release of the listener', () => {
  expect(workerEnvironment({})['RSIO_LISTENER_VERSION']).toBe(programVersion());
});
