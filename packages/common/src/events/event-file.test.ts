// Tests the events that are kept across restarts: their numbers, the bounds of the two files, torn and foreign lines, and failing disks.
// Invariant: no number is used twice, and no caller waits.

import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { EventFile } from './event-file.ts';
import { EventHistory } from './event-history.ts';
import {
  EVENT_FILE_LINES_MAX,
  EVENT_NUMBERS_SKIPPED,
  EVENTS_ALIKE_MAX,
  EVENTS_RETRY_MS,
  EVENTS_SAVE_MS,
  EVENTS_UNSAVED_MAX,
} from './limits.ts';

let folder: string;
let file: string;
let clock: FakeClock;
let said: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-events-'));
  file = join(folder, 'var/lib/rsio/rssrv/events.jsonl');
  clock = new FakeClock();
  said = [];
});

afterEach(() => removeFolder(folder));

class Life {
  readonly store: EventFile;
  readonly events: EventHistory;

  constructor() {
    const say = (text: string): void => void said.push(text);
    this.store = new EventFile(file, clock, { warn: say, info: say });
    this.events = new EventHistory(clock, this.store);
  }

  happen(...objects: readonly string[]): this {
    for (const object of objects) this.events.add({ object, from: '-', to: 'x', reason: '' });
    return this;
  }

  async read(after: number | null = null): Promise<Awaited<ReturnType<EventHistory['read']>>> {
    return await this.events.read({ count: 1_000, after });
  }

  async shown(): Promise<string[]> {
    return (await this.read()).events.map(({ number, object }) => `${number}${object}`);
  }
}

const textOf = (name = file): string => readFileSync(name, 'utf8');

/** Waits until `until` returns true, while batches of events are saved. */
async function saved(until: () => boolean): Promise<void> {
  await vi.waitFor(() => {
    clock.advance(EVENTS_SAVE_MS);
    expect(until()).toBe(true);
  });
}

test('a clean restart keeps events and goes on with the next number, so that a follower misses nothing', async () => {
  const first = new Life().happen('a', 'b');
  const { beganMs } = await first.read();
  first.store.close();
  clock.advance(5_000);
  const second = new Life().happen('c');
  expect(await second.shown()).toEqual(['1a', '2b', '3c']);
  expect(await second.read(2)).toMatchObject({ events: [{ number: 3 }], missed: 0, last: 3, beganMs });
});

test('after an unclean end no number comes twice, and a follower is told of nothing that it has not missed', async () => {
  const first = new Life().happen('a');
  await saved(() => textOf().includes('"a"'));
  // Event b is shown before it is saved, and the daemon then ends without saving it.
  expect((await first.happen('b').read(1)).last).toBe(2);
  const second = new Life().happen('c');
  expect(await second.shown()).toEqual(['1a', `${2 + EVENT_NUMBERS_SKIPPED}c`]);
  expect(await second.read(2)).toMatchObject({ events: [{ object: 'c' }], missed: 0 });
});

test('damaged, torn and foreign lines cost only themselves', async () => {
  new Life().happen('a').store.close();
  appendFileSync(
    file,
    '{"number":2,"atMs":1,"object":"x"}\nnull\n[]\nrubbish\n{"number":1,"atMs":1,"object":"again","from":"","to":"","reason":""}\n{"numb',
  );
  const life = new Life().happen('b');
  await saved(() => textOf().includes('"b"'));
  life.store.close();
  expect(await new Life().shown()).toEqual(['1a', '2b']);
});

test('only the user of the daemon may read the files, also those that an earlier version has made', async () => {
  const mode = (name: string): number => statSync(name).mode & 0o777;
  new Life().happen('a').store.close();
  expect(mode(file)).toBe(0o600);
  for (const name of [file, `${file}.1`]) {
    writeFileSync(name, readFileSync(file));
    chmodSync(name, 0o640);
  }
  expect(await new Life().shown()).toEqual(['1a']);
  expect([mode(file), mode(`${file}.1`)]).toEqual([0o600, 0o600]);
});

test('the files are bounded: a full one takes the place of the one before', async () => {
  const life = new Life();
  for (let round = 0; round < 5; round++) {
    const name = `round${round}`;
    life.happen(...Array.from({ length: EVENT_FILE_LINES_MAX / 2 }, (_unused, index) => `${name} ${index}`));
    await saved(() => textOf().includes(name));
  }
  const [now, before] = [textOf(), textOf(`${file}.1`)].map((text) => text.split('\n').length - 1);
  expect([now, before]).toEqual([EVENT_FILE_LINES_MAX / 2 + 1, EVENT_FILE_LINES_MAX + 1]);
  life.store.close();
  const again = new Life();
  expect((await again.read()).events.at(-1)).toMatchObject({
    number: (EVENT_FILE_LINES_MAX / 2) * 5,
    object: `round4 ${EVENT_FILE_LINES_MAX / 2 - 1}`,
  });
  expect((await again.read(1)).missed, 'what is no longer kept').toBeGreaterThan(0);
});

test('an object that flaps for days pushes no other event out of the files, and its count is kept', async () => {
  const first = new Life().happen('seldom');
  for (let flap = 0; flap < 3 * EVENT_FILE_LINES_MAX; flap++) {
    clock.advance(1_000);
    first.happen('path');
    if (flap % 500 === 0) await saved(() => textOf().includes(`"number":${flap + 2},`));
  }
  await saved(() => textOf().includes(`"number":${3 * EVENT_FILE_LINES_MAX + 1},`));
  first.store.close();
  const again = new Life();
  const { events } = await again.read();
  expect(events).toHaveLength(1 + EVENTS_ALIKE_MAX);
  expect([events[0], events.at(-1)]).toMatchObject([
    { number: 1, object: 'seldom' },
    { object: 'path', repeated: 3 * EVENT_FILE_LINES_MAX - EVENTS_ALIKE_MAX },
  ]);
});

test('0.2.0 reads the file, and this release reads that of 0.2.0, in which each event is for itself', async () => {
  const order = { who: 'client big-2', method: 'volume-set', id: 'x1' };
  const life = new Life().happen(...Array.from({ length: EVENTS_ALIKE_MAX + 1 }, () => 'a'));
  const last = EVENTS_ALIKE_MAX + 2;
  life.events.add({ object: 'b', from: '-', to: 'x', reason: '', order });
  life.store.close();
  // 0.2.0 takes these fields of each line, and no others.
  const lines = textOf()
    .split('\n')
    .filter((line) => line.includes('"object"'));
  const known = lines.map((line) => {
    const { number, atMs, object, from, to, reason } = JSON.parse(line) as Record<string, unknown>;
    return { number, atMs, object, from, to, reason };
  });
  expect(known).toHaveLength(last);
  expect(known.at(-1)).toMatchObject({ number: last, object: 'b', from: '-', to: 'x', reason: '' });
  const kept = (await new Life().read()).events;
  expect(kept).toHaveLength(last - 1);
  expect(kept.slice(-2)).toMatchObject([
    { number: last - 1, repeated: 1 },
    { number: last, order },
  ]);
  writeFileSync(file, known.map((one) => `${JSON.stringify(one)}\n`).join(''));
  expect((await new Life().read()).events).toEqual(known);
  writeFileSync(file, `${JSON.stringify({ ...known[0], repeated: 'x', order: { who: 7 } })}\n`);
  expect((await new Life().read()).events).toEqual([known[0]]);
});

test('an end in the middle of the change of files loses no event', async () => {
  const life = new Life().happen(...Array.from({ length: EVENT_FILE_LINES_MAX }, (_unused, index) => `a${index}`));
  await saved(() => textOf().includes('"a999"'));
  const full = textOf();
  life.happen('b');
  await saved(() => textOf().includes('"b"'));
  writeFileSync(file, full);
  expect((await new Life().read()).events.map(({ object }) => object)).toEqual([
    ...Array.from({ length: EVENT_FILE_LINES_MAX - 1 }, (_unused, index) => `a${index + 1}`),
    'b',
  ]);
});

test('a disk that takes nothing is said once, and what can be saved later is saved', async () => {
  const life = new Life();
  mkdirSync(file, { recursive: true });
  life.happen('a');
  await saved(() => said.length === 1);
  expect(said[0]).toMatch(
    /^Events cannot be saved in \S+ \(EISDIR.*\): they will be missing after a restart; make room or correct its rights$/,
  );
  life.happen(...Array.from({ length: EVENTS_UNSAVED_MAX }, () => 'b'));
  rmSync(file, { recursive: true });
  await vi.waitFor(() => {
    clock.advance(EVENTS_RETRY_MS);
    expect(said).toEqual([said[0], 'Events are saved again; 1 were not, and will be missing after a restart']);
  });
  expect(textOf().match(/"b"/g)).toHaveLength(EVENTS_UNSAVED_MAX);
});

test('a file of another size or kind is left out, and the daemon starts', async () => {
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, 'x'.repeat(3 << 20));
  expect(await new Life().happen('a').shown()).toEqual(['1a']);
});
