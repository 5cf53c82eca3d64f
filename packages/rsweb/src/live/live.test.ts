// Tests the live stream: a browser that has the first picture and applies the changes gets the second picture. A browser that does not read
// gets no changes, and does not delay other browsers. The number of streams is bounded, and each stream ends with its login.

import { beforeEach, expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { Picture } from '../model/picture.ts';
import { samplePicture, withFault } from '../testing/sample-picture.ts';
import { BACKLOG_MAX_BYTES, HEARTBEAT_MS, STREAMS_MAX, STREAMS_PER_TOKEN_MAX, STUCK_MS } from '../limits.ts';
import { Live } from './live.ts';

class Browser {
  backlogBytes = 0;
  hasEnded = false;
  isWelcome = true;
  text = '';

  write(text: string): void {
    this.text += text;
  }

  end(): void {
    this.hasEnded = true;
  }

  /** Returns the events that the stream has sent since the last call, with their data. */
  take(): [string, unknown][] {
    const events = [...this.text.matchAll(/^event: (\w+)\ndata: (.*)\n\n/gm)].map(([, name = '', data = '']): [string, unknown] => [
      name,
      JSON.parse(data),
    ]);
    this.text = '';
    return events;
  }
}

let clock = new FakeClock();
let live = new Live(clock);

beforeEach(() => {
  clock = new FakeClock();
  live = new Live(clock);
});

function open(browser = new Browser(), token = 'anna'): Browser {
  const stream = live.stream({ token, isWelcome: () => browser.isWelcome });
  if (stream === null) throw new Error('Too many streams');
  stream.open(browser);
  return browser;
}

/** Applies the events of the stream to a picture, as the script of the pages does. */
function applied(picture: Picture, events: readonly [string, unknown][]): Picture {
  let now = picture as unknown as Record<string, unknown>;
  for (const [name, data] of events) {
    if (name === 'picture') now = data as Record<string, unknown>;
    if (name === 'findings') now = { ...now, findings: data };
    if (name !== 'changes') continue;
    const { takenMs, changes } = data as { takenMs: number; changes: { path: [string, string]; value: unknown }[] };
    now = { ...now, takenMs };
    for (const { path, value } of changes) {
      const list = (now[path[0]] as { id: string }[]).filter(({ id }) => id !== path[1]);
      now = { ...now, [path[0]]: value === null ? list : [...list, value as { id: string }] };
    }
  }
  return now as unknown as Picture;
}

function sorted(picture: Picture): Record<string, unknown> {
  const lists = Object.entries(picture).map(([name, list]: [string, unknown]) => {
    const isList = Array.isArray(list) && name !== 'findings';
    return [name, isList ? (list as { id: string }[]).toSorted((left, right) => (left.id < right.id ? -1 : 1)) : list];
  });
  return Object.fromEntries(lists) as Record<string, unknown>;
}

const fault = { id: 'x', severity: 'error', what: 'w', where: 'x', remedy: 'r', commands: [], href: null, sinceMs: null } as const;

test('the first event is the whole picture; what follows are changes that make the next one', () => {
  const pictures = [0, 1, 2].map((tick) => samplePicture({ tick }));
  const last = withFault({ ...samplePicture({ tick: 3 }), volumes: samplePicture({ tick: 3 }).volumes.slice(1) }, fault);
  live.show(pictures[0] as Picture);
  const browser = open();
  let shown = applied({} as Picture, browser.take());
  for (const picture of [...pictures, last]) {
    live.show(picture);
    shown = applied(shown, browser.take());
    expect(sorted(shown)).toEqual(sorted(JSON.parse(JSON.stringify(picture)) as Picture));
  }
});

test('a picture in which nothing has changed is a few bytes, and so is one with one fault more', () => {
  live.show(samplePicture());
  const browser = open();
  live.show(samplePicture());
  browser.take();
  live.show(samplePicture());
  expect(browser.text.length).toBeLessThan(200);
  browser.take();
  live.show(withFault(samplePicture(), fault));
  expect(browser.take().map(([name]) => name)).toEqual(['changes', 'findings']);
});

test('a browser that takes nothing gets nothing more, then the whole, and is disconnected in the end; others go on', () => {
  live.show(samplePicture());
  const [slow, quick] = [open(), open()];
  live.show(samplePicture());
  for (const browser of [slow, quick]) browser.take();
  slow.backlogBytes = BACKLOG_MAX_BYTES + 1;
  live.show(samplePicture({ tick: 1 }));
  expect(slow.text).toBe('');
  expect(quick.take().length).toBeGreaterThan(0);
  slow.backlogBytes = 0;
  clock.advance(HEARTBEAT_MS);
  live.show(samplePicture({ tick: 2 }));
  expect(slow.take().map(([name]) => name)).toEqual(['picture']);
  slow.backlogBytes = BACKLOG_MAX_BYTES + 1;
  clock.advance(STUCK_MS + HEARTBEAT_MS);
  expect([slow.hasEnded, quick.hasEnded]).toEqual([true, false]);
});

test('a quiet stream has heartbeats, and nothing runs without streams', () => {
  const browser = open();
  browser.text = '';
  clock.advance(HEARTBEAT_MS);
  expect(browser.text).toBe(':\n\n');
  browser.isWelcome = false;
  clock.advance(HEARTBEAT_MS);
  expect([browser.hasEnded, browser.text.includes('event: logout'), live.isWatched]).toEqual([true, true, false]);
});

test('streams of a token are bounded, and other tokens still get one', () => {
  for (let count = 0; count < STREAMS_PER_TOKEN_MAX; count++) open();
  expect(live.stream({ token: 'anna', isWelcome: () => true })).toBeNull();
  expect(open(new Browser(), 'bert').hasEnded).toBe(false);
});

test('two tokens that take all streams leave a third one its share', () => {
  const all = Array.from({ length: STREAMS_MAX }, (_, at) => open(new Browser(), at % 2 === 0 ? 'anna' : 'bert'));
  for (let count = 0; count < 10; count++) expect(open(new Browser(), 'carl').hasEnded).toBe(false);
  expect(all.filter(({ hasEnded }) => hasEnded).length).toBe(10);
});
