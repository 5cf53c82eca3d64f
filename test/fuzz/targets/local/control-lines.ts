// A real control socket of a daemon. The client of this socket sends lines or arbitrary other bytes. Oracle: each non-empty line is
// answered with one line of JSON that has the same id, wherever the stream is cut. The daemon sends nothing else. Handlers only get
// parameters of the declared shape.

import net from 'node:net';
import path from 'node:path';
import { startControlServer } from '@rsio/common/control/control-server';
import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import { LineSplitter } from '@rsio/common/control/line-splitter';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { mutated, reordered } from '../../makers/mutator.ts';
import { scratchFolder } from '../../fixtures/scratch.ts';

// seed of the cuts (u8) | bytes of the client
const SHORT_LINE_MAX_BYTES = 64;
const ANSWERED_WITHIN_MS = 10_000;
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, child: () => quiet };

/** Number of calls that the handlers received. */
let seen = 0;

function expectNames(names: readonly string[]): void {
  expectThat(Array.isArray(names) && names.every((name) => typeof name === 'string' && name !== ''), 'a handler saw names that are none');
}

const HANDLERS = {
  daemon: () => answered(),
  status: () => answered(),
  query: ({ refresh }: { refresh: boolean }) => {
    expectThat(typeof refresh === 'boolean', 'a handler saw a flag that is none');
    return answered();
  },
  attach: ({ names, readOnly, server, take }: { names: readonly string[]; readOnly: boolean; server: string | null; take: string }) => {
    expectNames(names);
    expectThat(typeof readOnly === 'boolean' && (server === null || typeof server === 'string'), 'a handler saw a wrong parameter');
    expectThat(['no', 'over', 'force'].includes(take), 'a handler saw a word that is none');
    return answered();
  },
  events: ({ count }: { count: number }) => {
    expectThat(Number.isInteger(count) && count > 0, 'a handler saw a wrong count');
    return answered();
  },
};

function answered(): object {
  seen++;
  return {};
}

let socketPath: Promise<string> | null = null;

/** Starts the server of this process at the first call. The server does not keep the process alive. */
function started(): Promise<string> {
  socketPath ??= (async () => {
    const file = path.join(scratchFolder(), 'control');
    await startControlServer(file, CONTROL_METHODS, HANDLERS as unknown as Partial<ControlHandlers>, quiet);
    return file;
  })();
  return socketPath;
}

/** Sends the bytes in pieces as a client, ends the connection, and returns all answers. */
async function answersTo(bytes: Buffer, cuts: SeededRandom): Promise<string> {
  const socket = net.connect({ path: await started(), allowHalfOpen: true });
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`Finding: the connection does not end within ${ANSWERED_WITHIN_MS} ms`));
    }, ANSWERED_WITHIN_MS);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
    for (let at = 0; at < bytes.length; ) {
      const next = Math.min(bytes.length, at + cuts.int(1, bytes.length));
      socket.write(bytes.subarray(at, next));
      at = next;
    }
    socket.end();
  });
}

function idOf(line: string): unknown {
  try {
    const value: unknown = JSON.parse(line);
    const { id = null, method } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
    return typeof method === 'string' && (id === null || typeof id === 'string' || typeof id === 'number') ? id : null;
  } catch {
    return null;
  }
}

/** Checks that the splitter finds the same lines wherever the stream is cut, except lines that are too long. */
function judgeSplitter(bytes: Buffer, cuts: SeededRandom): void {
  const lines = (cut: () => number): string => {
    const splitter = new LineSplitter(SHORT_LINE_MAX_BYTES);
    const found: string[] = [];
    let isWhole = true;
    for (let at = 0; at < bytes.length && isWhole; ) {
      const next = Math.min(bytes.length, at + cut());
      isWhole = splitter.push(bytes.subarray(at, next), (line) => found.push(line));
      at = next;
    }
    for (const line of found) expectThat(Buffer.byteLength(line) <= 3 * SHORT_LINE_MAX_BYTES, 'a line is longer than its bound');
    return JSON.stringify([found, isWhole]);
  };
  expectThat(lines(() => bytes.length) === lines(() => cuts.int(1, 9)), 'other cuts gave other lines');
}

async function run(input: Buffer): Promise<boolean> {
  const bytes = input.subarray(1);
  const cuts = new SeededRandom(input[0] ?? 0);
  judgeSplitter(bytes, cuts);
  const before = seen;
  const answers = await answersTo(bytes, cuts);
  const ids = bytes
    .toString('utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(idOf);
  expectThat(answers === '' || answers.endsWith('\n'), 'an answer is cut off');
  const lines = answers.split('\n').slice(0, -1);
  expectThat(lines.length === ids.length, `${ids.length} requests had ${lines.length} answers`);
  const told = lines.map((line) => JSON.parse(line) as { id: unknown; result?: unknown; error?: { code: string } });
  const sorted = (list: readonly unknown[]): string => JSON.stringify(list.map((id) => JSON.stringify(id)).toSorted());
  expectThat(sorted(told.map(({ id }) => id)) === sorted(ids), 'answers have other ids than their requests');
  for (const { result, error } of told) {
    expectThat((result === undefined) !== (error === undefined), 'an answer is neither a result nor an error, or both');
    expectThat(error === undefined || error.code === 'E_USAGE', `a request was refused with ${error?.code}`);
  }
  return seen > before;
}

function request(random: SeededRandom): string {
  const params = random.pick([
    undefined,
    {},
    null,
    [],
    'x',
    { names: ['a', 'b'] },
    { names: [''] },
    { names: 'a' },
    { names: ['x'], readOnly: true, server: 'big-9' },
    { names: ['x'], take: 'over' },
    { names: ['x'], take: 'all' },
    { refresh: true },
    { refresh: 1 },
    { count: 3 },
    { count: 1e9 },
    { count: random.pick([0, -1, 1.5, 2 ** 31, 2 ** 53, 1e308, -0]) },
    { __proto__x: 1 },
  ]);
  const method = random.pick(['daemon', 'status', 'query', 'query', 'attach', 'attach', 'events', 'detach', 'toString', '__proto__', 7]);
  return JSON.stringify({ id: random.pick([1, 2, 'a', null, 1.5, {}, '\u0000ü', 2 ** 53, -1e308]), method, params });
}

function make(random: SeededRandom): Buffer {
  let lines = Array.from({ length: random.int(1, 5) }, () => request(random));
  if (random.chance(0.2)) lines = reordered(random, lines, () => random.pick(['', ' ', '[', 'null', '{}', '"x"', '\ufeff{}']));
  // Sometimes, the client sends more lines than the server answers at one time.
  if (random.chance(0.02)) lines = Array.from({ length: 100 }, () => request(random));
  const bytes = Buffer.from(lines.join('\n') + random.pick(['', '\n', '\r\n']));
  return Buffer.concat([Buffer.from([random.int(0, 255)]), random.chance(0.7) ? bytes : mutated(random, bytes, 2)]);
}

export const controlLines: FuzzTarget = { name: 'control-lines', deep: 'a handler was called', fixedSeeds: 200, make, run };
