// Tests a service in a daemon whose signals the test simulates: the order of the service's actions and reports, and a start that fails.
// daemon-process.test.ts tests real processes and signals.

import { PLAIN_FORM } from '../log/log-form.ts';
import { beforeEach, expect, test } from 'vitest';
import type { Daemon } from './daemon-process.ts';
import { loggedWork, runService, reportCrash, type Service, warner } from './daemon-service.ts';
import { RsError } from '../lib/errors.ts';
import { type DaemonLog, quietLog } from '../log/log.ts';

let seen: string[] = [];
let stop: (reason: string) => void = () => {};
let reload: () => void = () => {};

beforeEach(() => {
  seen = [];
});

const daemon: Daemon = {
  leftBy: null,
  ready: () => void seen.push('ready'),
  warn: (sentence) => void seen.push(`terminal: ${sentence}`),
  onStop: (hook) => {
    stop = hook;
  },
  onReload: (hook) => {
    reload = hook;
  },
};

const log: DaemonLog = {
  redirect: () => undefined,
  way: { file: '', form: PLAIN_FORM },
  ...quietLog,
  info: (message) => void seen.push(`log: ${message}`),
  warn: (message) => void seen.push(`log: ${message}`),
  error: (message) => void seen.push(`log: ${message}`),
  setLevel: () => {},
  reopen: () => {},
  flushSync: () => void seen.push('log written'),
  close: () => void seen.push('log closed'),
};

const service: Service = {
  start: async () => void seen.push('start'),
  stop: async (reason) => void seen.push(`stop: ${reason}`),
  reload: () => void seen.push('reload'),
};

test('a service starts, is ready, reloads, ends with its farewell, and closes the log', async () => {
  const running = runService(daemon, log, service, 'Good night');
  await Promise.resolve();
  reload();
  stop('SIGTERM');
  await running;
  expect(seen).toEqual(['start', 'ready', 'reload', 'log: Ends: SIGTERM', 'stop: Good night', 'log: Has ended', 'log closed']);
});

test('a stop during the start waits for the start', async () => {
  let started: () => void = () => {};
  const slow = { ...service, start: () => new Promise<void>((resolve) => (started = resolve)) };
  const running = runService(daemon, log, slow, 'Good night');
  stop('SIGINT');
  await Promise.resolve();
  expect(seen).toEqual([]);
  started();
  await running;
  expect(seen).toEqual(['ready', 'log: Ends: SIGINT', 'stop: Good night', 'log: Has ended', 'log closed']);
});

test('a start that fails never becomes ready', async () => {
  const failing = { ...service, start: () => Promise.reject(new Error('no address')) };
  await expect(runService(daemon, log, failing, '')).rejects.toThrow('no address');
  expect(seen).toEqual([]);
});

test('a warning goes to the log and to the terminal', () => {
  warner(daemon, log)('Every user can read the keys');
  expect(seen).toEqual(['log: Every user can read the keys', 'terminal: Warning: Every user can read the keys']);
});

test('a refused stop is reported, and the next one is checked again, also if it arrives during the check', async () => {
  const refusals: (string | null)[] = ['in use', 'in use still', null];
  let isAsked: () => void = () => {};
  const asked = (): Promise<void> => new Promise((resolve) => (isAsked = resolve));
  const busy: Service = {
    ...service,
    refusal: async () => {
      isAsked();
      return refusals.shift() ?? null;
    },
  };
  const first = asked();
  const running = runService(daemon, log, busy, 'Good night');
  stop('SIGTERM');
  await first;
  stop('SIGINT');
  stop('SIGTERM');
  await asked();
  stop('SIGINT');
  await running;
  expect(seen).toEqual([
    ...['start', 'ready', 'log: Does not end (SIGTERM): in use', 'log: Does not end (SIGTERM): in use still'],
    ...['log: Ends: SIGINT', 'stop: Good night', 'log: Has ended', 'log closed'],
  ]);
});

test('the reason for the end of a process is in the log before the caller gets the error', async () => {
  const refused = new RsError('E_SYSTEM', 'No room: free some');
  await expect(loggedWork(log, () => Promise.reject(refused))).rejects.toBe(refused);
  expect(seen).toEqual(['log: This process ends: No room: free some [E_SYSTEM]', 'log written']);
});

test('a daemon that was killed together with its keeper is reported by the next one', () => {
  reportCrash(log, 'rsiod', daemon);
  expect(seen).toEqual([]);
  reportCrash(log, 'rsiod', { ...daemon, leftBy: 4711 });
  expect(seen[0]).toMatch(/^log: The previous rsiod \(pid 4711\) was killed or crashed/);
});
