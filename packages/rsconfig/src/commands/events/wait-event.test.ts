// Tests waiting for events and messages: which of them match, and how one command goes on where another ended. The daemons are fakes;
// test/integration/node-messages.test.ts has real ones.

import { describe, expect, test } from 'vitest';
import type { EventView } from '@rsio/common/control/method-table';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { WAIT_EVENT_LATE_CODE } from '../../limits.ts';
import { contextOf } from '../../testing/context.ts';
import { isWanted, parsePosition, printPosition, sourcesFor } from './event-match.ts';
import { WAIT_EVENT } from './wait-event.ts';

const NO_RSAPP = new RsError('E_NOT_RUNNING', 'rsapp is not running');
const ANY = { kind: null, about: null, state: null, from: null };

function event(number: number, object: string, to: string, atMs = number): EventView {
  return { number, atMs, object, from: '-', to, reason: '' };
}

/** Daemons that answer at once, and that wait for ever if there is nothing new. */
class Daemons {
  readonly clock = new FakeClock();
  rsiod: EventView[] = [];
  rsapp: EventView[] | null = [];
  messages: { number: number; atMs: number; from: string; text: string }[] = [];
  out = '';
  notes: string[] = [];
  wakes: (() => void)[] = [];

  readonly context = contextOf({
    clock: this.clock,
    out: (text) => (this.out += text),
    note: (text) => this.notes.push(text),
    call: async (method, params) => {
      if (method === 'messages') return this.answer(() => this.messages, 'messages', params);
      return this.answer(() => this.rsiod, 'events', params);
    },
    callApp: async (_method, params) => {
      if (this.rsapp === null) throw NO_RSAPP;
      return this.answer(() => this.rsapp ?? [], 'events', params);
    },
  });

  /** Adds something, and answers the calls that wait. */
  change(work: () => void): void {
    work();
    for (const wake of this.wakes.splice(0)) wake();
  }

  async wait(options: Readonly<Record<string, unknown>>): Promise<{ code: number | undefined; out: string }> {
    this.out = '';
    const code = await WAIT_EVENT.run(this.context, options, []);
    return { code, out: this.out };
  }

  private async answer(all: () => readonly { readonly number: number }[], name: string, params: unknown): Promise<unknown> {
    const { after, waitMs = 0 } = params as { after: number | null; waitMs?: number };
    const newer = () => all().filter(({ number }) => number > (after ?? 0));
    while (after !== null && waitMs > 0 && after >= (all().at(-1)?.number ?? 0) && newer().length === 0)
      await new Promise<void>((resolve) => this.wakes.push(resolve));
    return { [name]: newer(), missed: 0, last: all().at(-1)?.number ?? 0, beganMs: 0 };
  }
}

test.each([
  [{ about: 'oracle' }, 'volume osl:oracle@0', 'lost', true],
  [{ about: 'osl:oracle@0', kind: 'volume' }, 'volume osl:oracle@0', 'lost', true],
  [{ about: 'oracle' }, 'volume osl:oracle2@0', 'lost', false],
  [{ kind: 'path' }, 'volume osl:oracle@0', 'lost', false],
  [{ kind: 'path', about: 'if0', state: 'connected' }, 'path if0 10.0.0.1/5000', 'up', true],
  [{ state: 'running' }, 'application pg', 'running on big-2', true],
  [{ state: 'running on big-6' }, 'application pg', 'running on big-2', false],
])('%j and %s that is %s: %j', (wanted, object, to, result) => {
  expect(isWanted({ ...ANY, ...wanted }, { source: 'rsiod', event: event(1, object, to), message: null })).toBe(result);
});

test('only the sources that can have what is wanted are asked; wrong positions and options are refused', () => {
  expect(sourcesFor(ANY)).toEqual(['rsiod', 'rsapp', 'message']);
  expect(sourcesFor({ ...ANY, kind: 'application' })).toEqual(['rsapp']);
  expect(sourcesFor({ ...ANY, from: 'big-6' })).toEqual(['message']);
  expect(sourcesFor({ ...ANY, state: 'up' })).toEqual(['rsiod', 'rsapp']);
  expect(() => sourcesFor({ ...ANY, kind: 'path', from: 'big-6' })).toThrow('only for messages');
  expect(printPosition(parsePosition('1.x.3'))).toBe('1.x.3');
  for (const text of ['1.2', '1.2.-', '', '1.2.3.4']) expect(() => parsePosition(text)).toThrow('Wrong --after');
});

describe('wait-event', () => {
  test('waits for what comes from now on, and prints it behind its position', async () => {
    const daemons = new Daemons();
    daemons.rsapp = [event(7, 'application pg', 'running on a')];
    const waits = daemons.wait({ about: 'pg', state: 'running' });
    await expect.poll(() => daemons.wakes.length).toBe(2);
    daemons.change(() => daemons.rsapp!.push(event(8, 'application web', 'running on a'), event(9, 'application pg', 'running on b')));
    expect(await waits).toEqual({ code: 0, out: expect.stringMatching(/^0\.9\.x .* application pg: - -> running on b\n$/) });
  });

  test('with --after, two events that came together are given one after the other', async () => {
    const daemons = new Daemons();
    const { out } = await daemons.wait({ position: true });
    expect(out).toBe('0.0.0\n');
    daemons.rsiod = [event(1, 'path a', 'down')];
    daemons.messages = [5, 6].map((number) => ({ number, atMs: 1, from: 'big-6', text: `m${number}` }));
    const seen: string[] = [];
    let after = out.trim();
    for (let time = 0; time < 3; time++) {
      const { out: line } = await daemons.wait({ after });
      [after = ''] = line.split(' ');
      seen.push(line.replace(/^\S+ .* \(GMT\) /, '').trim());
    }
    expect(seen.toSorted()).toEqual(['message big-6: m5', 'message big-6: m6', 'path a: - -> down']);
    expect(after).toBe('1.0.6');
  });

  test('ends after --timeout with a status of its own', async () => {
    const daemons = new Daemons();
    const waits = daemons.wait({ kind: 'message', timeout: '5s' });
    await expect.poll(() => daemons.wakes.length).toBe(1);
    daemons.clock.advance(5_000);
    expect(await waits).toEqual({ code: WAIT_EVENT_LATE_CODE, out: '' });
    expect(daemons.notes[0]).toContain('--after x.x.0');
    expect(daemons.clock.timersPending).toBe(0);
  });

  test('an rsapp that is started meanwhile is heard, and numbers that begin anew are noticed', async () => {
    const daemons = new Daemons();
    daemons.rsapp = null;
    const waits = daemons.wait({ kind: 'application' });
    await expect.poll(() => daemons.clock.timersPending).toBe(1);
    const nowMs = daemons.clock.wallMs();
    daemons.rsapp = [event(1, 'application pg', 'old', nowMs - 1), event(2, 'application pg', 'new', nowMs)];
    daemons.clock.advance(1_000);
    expect((await waits).out).toContain('-> new');
    expect((await daemons.wait({ kind: 'application', after: 'x.900.x', json: true })).out).toContain('"to": "old"');
  });
});
