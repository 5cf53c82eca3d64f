// Tests `events`: its lines, its bounds, and that -f shows each event once, across restarts and gaps. rssrv is a fake. The files in rssrv's
// events/ decide which changes become events.

import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { useAdmScene } from '../testing/adm-scene.ts';

type Answer = ServerMethods['events']['result'];

const scene = useAdmScene();
const EVENT = { number: 1, atMs: 0, object: 'client big-2', from: 'absent', to: 'connected', reason: 'From 10.0.0.2' };
const CREATED = { number: 2, atMs: 1_000, object: 'volume db@0', from: '-', to: 'created\u001b', reason: '' };
const LINE = '1970_01_01-00:00:00 (GMT) client big-2: absent -> connected: From 10.0.0.2\n';
const LINE_CREATED = '1970_01_01-00:00:01 (GMT) volume db@0: created\\x1b\n';

function answer(events: Answer['events'], more: Partial<Answer> = {}): Answer {
  return { events, missed: 0, last: events.at(-1)?.number ?? 0, beganMs: 5, ...more };
}

/**
 * Starts an rssrv that answers its requests with `answers`, one after the other. Each further request gets an error, which ends the
 * command.
 */
async function serveInTurn(...answers: readonly Answer[]): Promise<void> {
  const left = [...answers];
  await scene.serve({
    events: () => {
      const next = left.shift();
      if (next === undefined) throw new RsError('E_INTERNAL', 'No more answers');
      return next;
    },
  });
}

test('lists events, oldest first, with their reasons', async () => {
  await serveInTurn(answer([EVENT, CREATED]), answer([CREATED]), answer([EVENT]));
  expect(await scene.run(['events'])).toEqual({ code: 0, out: LINE + LINE_CREATED, err: '' });
  expect((await scene.run(['events', '-n', '1'])).out).toBe(LINE_CREATED);
  expect(JSON.parse((await scene.run(['events', '--json'])).out)).toEqual(answer([EVENT]));
  expect(scene.asked.map(([, params]) => params)).toEqual([
    { count: 1_000, after: null, waitMs: 0 },
    { count: 1, after: null, waitMs: 0 },
    { count: 1_000, after: null, waitMs: 0 },
  ]);
});

test('an empty list says so, and a wrong number is refused', async () => {
  await serveInTurn(answer([]));
  expect(await scene.run(['events'])).toEqual({ code: 0, out: '', err: 'rsadm: Nothing has happened yet\n' });
  for (const wrong of ['x', '1001', '-1']) expect((await scene.run(['events', `-n${wrong}`])).code).toBe(2);
});

test('--since leaves out what was before', async () => {
  await serveInTurn(answer([EVENT, CREATED]), answer([EVENT]));
  expect((await scene.run(['events', '--since', '1970-01-01 00:00:01'])).out).toBe(LINE_CREATED);
  expect(await scene.run(['events', '--since', '2h'])).toEqual({ code: 0, out: '', err: 'rsadm: Nothing has happened since then\n' });
  expect((await scene.run(['events', '--since', 'soon'])).code).toBe(2);
});

test('-f asks for what comes after the last event, and shows it', async () => {
  await serveInTurn(answer([EVENT]), answer([], { last: 1 }), answer([CREATED]));
  const { out, err } = await scene.run(['events', '-f', '--json']);
  expect(out).toBe(`${JSON.stringify(EVENT)}\n${JSON.stringify(CREATED)}\n`);
  expect(err).toBe('rsadm: No more answers [E_INTERNAL]\n');
  expect(scene.asked.map(([, params]) => params)).toEqual([
    { count: 10, after: null, waitMs: 0 },
    { count: 1_000, after: 1, waitMs: 8_000 },
    { count: 1_000, after: 1, waitMs: 8_000 },
    { count: 1_000, after: 2, waitMs: 8_000 },
  ]);
});

test('-f goes on over a restart of rssrv, begins anew if its events were lost, and says what it missed', async () => {
  const again = { ...EVENT, number: 7 };
  await serveInTurn(answer([CREATED]), answer([], { last: 0, beganMs: 9 }), answer([again], { beganMs: 9, missed: 6 }));
  const { out, err } = await scene.run(['events', '-f', '-n', '0']);
  expect(out).toBe(LINE);
  expect(err).toBe(
    'rsadm: The events of rssrv begin anew, because the ones before were lost; rsslogcat shows them\n' +
      'rsadm: 6 events were missed: rsslogcat shows them\nrsadm: No more answers [E_INTERNAL]\n',
  );
  expect(scene.asked[2]?.[1]).toMatchObject({ after: 0 });
});
