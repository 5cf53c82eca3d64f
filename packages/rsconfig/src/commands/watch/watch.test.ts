// Tests the loop of `watch` with a fake clock: the interval between polls, the output, and every way in which the command can end.
// Integration tests use a real terminal.

import { describe, expect, test } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { contextOf } from '../../testing/context.ts';
import { rep } from '../../testing/views.ts';
import { isUnicodeLocale, type WatchPorts } from './watch-screen.ts';
import { watch } from './watch.ts';

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';

const STATUS = {
  interfaces: [{ position: 0, name: 'if0', address: '192.168.10.1', port: 5000, reps: [rep()] }],
  waiting: [],
  logs: [],
  mirrors: [],
};

/** Runs watch against a daemon that answers until `isRunning` is false. */
function scene(options: { readonly count?: number; readonly json?: boolean; readonly isTerminal?: boolean } = {}) {
  const clock = new FakeClock();
  let printed = '';
  const daemon = { isRunning: true, polls: 0, answers: true };
  let stop = (): void => undefined;
  let handlers = 0;
  const context = contextOf({
    clock,
    out: (text) => {
      printed += text;
    },
    call: async (method) => {
      if (!daemon.isRunning) throw new RsError('E_NOT_RUNNING', 'rsiod does not run: start it with: rsiod');
      if (!daemon.answers) await new Promise(() => undefined);
      if (method === 'status') daemon.polls += 1;
      return method === 'status' ? STATUS : { paths: [], volumes: [] };
    },
  });
  const ports: WatchPorts = {
    terminal: options.isTerminal === true ? () => ({ columns: 80, rows: 24 }) : null,
    isUnicode: true,
    onStop: (end) => {
      stop = end;
      handlers += 1;
      return () => {
        handlers -= 1;
      };
    },
  };
  const ended = watch(context, { count: options.count ?? null, ascii: false, json: options.json ?? false }, ports);
  /** Lets promises settle, then advances the clock by `seconds`. */
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      clock.advance(1_000);
    }
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  return { clock, daemon, ended, pass, printed: () => printed, stop: () => stop(), handlers: () => handlers };
}

test('--count 2 takes three samples, shows two seconds and ends', async () => {
  const { ended, pass, printed, daemon, handlers } = scene({ count: 2 });
  await pass(3);
  await ended;
  expect(daemon.polls).toBe(3);
  expect(
    printed()
      .split('\n')
      .map((line) => line.slice(0, 8)),
  ).toEqual(['time    ', '15:02:33', '15:02:34', '']);
  expect(handlers()).toBe(0);
});

test('--json prints one line for each second', async () => {
  const { ended, pass, printed } = scene({ count: 2, json: true });
  await pass(3);
  await ended;
  const lines = printed().trimEnd().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { paths: unknown[] }).paths.length)).toEqual([1, 1]);
});

describe('on a terminal', () => {
  test('each picture replaces the last, and Ctrl-C restores the terminal', async () => {
    const { ended, pass, printed, stop, clock } = scene({ isTerminal: true });
    await pass(2);
    stop();
    await ended;
    expect(printed().split('\x1b[H')).toHaveLength(3);
    expect(printed().startsWith(ENTER)).toBe(true);
    expect(printed().endsWith(LEAVE)).toBe(true);
    expect(printed().split(ENTER)).toHaveLength(2);
    clock.advance(5_000);
    expect(printed().endsWith(LEAVE)).toBe(true);
  });

  test('a daemon that ends meanwhile is reported after the terminal is restored', async () => {
    const { ended, pass, printed, daemon } = scene({ isTerminal: true });
    const failure = expect(ended).rejects.toThrow(/^rsiod ended during watch: /);
    await pass(1);
    daemon.isRunning = false;
    await pass(2);
    await failure;
    expect(printed().endsWith(LEAVE)).toBe(true);
  });
});

test('a hanging daemon does not delay Ctrl-C', async () => {
  const { ended, pass, stop, daemon } = scene();
  await pass(1);
  daemon.answers = false;
  await pass(2);
  stop();
  await ended;
});

test('without a daemon the error says how to start it, and no screen is opened', async () => {
  const clock = new FakeClock();
  let printed = '';
  const context = contextOf({
    clock,
    out: (text) => {
      printed += text;
    },
    call: () => Promise.reject(new RsError('E_NOT_RUNNING', 'rsiod does not run: start it with: rsiod')),
  });
  const ports = { terminal: () => ({ columns: 80, rows: 24 }), isUnicode: true, onStop: () => () => undefined };
  await expect(watch(context, { count: null, ascii: false, json: false }, ports)).rejects.toThrow('start it with: rsiod');
  expect(printed).toBe('');
});

test.each([
  [{ LC_ALL: 'C', LANG: 'en_US.UTF-8' }, false],
  [{ LC_ALL: '', LANG: 'de_DE.utf8' }, true],
  [{ LC_CTYPE: 'C.UTF-8', LANG: 'C' }, true],
  [{}, false],
])('letters of %o', (env, isUnicode) => {
  expect(isUnicodeLocale(env)).toBe(isUnicode);
});
