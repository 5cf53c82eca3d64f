// Tests how the listener writes the log lines of a worker: which fields of a record it uses, long lines, and a process that logs too much.
// test/integration/confined-workers.test.ts uses real processes. Rules: G24.

import { PassThrough } from 'node:stream';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { Log } from '@rsio/base/log/log';
import { expect, test } from 'vitest';
import { WORKER_LINE_MAX_BYTES, WORKER_LOG_BURST_MS, WORKER_LOG_BYTES_PER_S } from '../limits.ts';
import { WorkerLines, workerRecord } from './worker-lines.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function linesOf(): { clock: FakeClock; pipe: PassThrough; lines: WorkerLines; said: string[] } {
  const said: string[] = [];
  const logOf = (place: string): Log => {
    const write = (level: string) => (text: string) => void said.push(`${level} ${place}: ${text}`);
    const levels = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
    return { ...levels, child: ({ path, pid }) => logOf(`${String(pid)} ${path ?? ''}`) };
  };
  const [clock, pipe] = [new FakeClock(), new PassThrough({ highWaterMark: 1 << 24 })];
  return { clock, pipe, said, lines: new WorkerLines(clock, logOf(''), 7, [pipe]) };
}

// Regression: a worker had a descriptor of the log file, and could write any record to the file, or truncate it.
test('of a record, only level, text, path, volume and error are taken: none is an event, or a line of the audit', () => {
  const forged = {
    level: 'info',
    time: 1,
    pid: 1,
    node: 'other',
    path: 'p',
    msg: 'a\nb',
    volume: 'db',
    event: {},
    audit: true,
    by: 'root',
  };
  expect(workerRecord(JSON.stringify(forged))).toEqual({ level: 'info', text: 'a b', path: 'p', fields: { volume: 'db' } });
  for (const line of ['{"level":"fatal","msg":"x"}', '{"level":"info"}', 'null', 'Error: \u001b[2J'])
    expect(workerRecord(line)).toMatchObject({ level: 'error', path: null, fields: {} });
});

test('each line names its process, a line comes in pieces, and a long one is cut', async () => {
  const { pipe, said } = linesOf();
  pipe.write('{"level":"warn","msg":"on');
  await turn();
  pipe.write('e"}\n{"level":"info","msg":"two","path":"6-if0-rx0"}\n');
  pipe.write(`${'x'.repeat(3 * WORKER_LINE_MAX_BYTES)}\nlast`);
  pipe.end();
  await turn();
  await turn();
  expect(said.map((line) => line.slice(0, 40))).toEqual([
    'warn 7 process-7: one',
    'info 7 process-7 6-if0-rx0: two',
    `error 7 process-7: ${'x'.repeat(21)}`,
    'error 7 process-7: last',
  ]);
});

test('a process that logs too much waits with its lines, until it has ended', async () => {
  const { clock, pipe, said, lines } = linesOf();
  const burst = (WORKER_LOG_BYTES_PER_S * WORKER_LOG_BURST_MS) / 1_000;
  const line = `${'y'.repeat(1_023)}\n`;
  for (let bytes = 0; bytes <= burst; bytes += line.length) pipe.write(line);
  await turn();
  const logged = said.length;
  pipe.write(line);
  await turn();
  expect([pipe.isPaused(), said.length]).toEqual([true, logged]);
  clock.advance(1_000);
  await turn();
  expect(said.length).toBe(logged + 1);
  for (let bytes = 0; bytes <= burst; bytes += line.length) pipe.write(line);
  await turn();
  lines.exited();
  await turn();
  lines.close();
  expect(said.at(-1)).toMatch(/^warn : Server process 7: \d+ bytes of its log were left out/);
});
