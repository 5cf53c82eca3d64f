// Tests which log lines become events, including lines of a child log and lines below the log level. packages/common/src/events tests the
// list of events.

import { type DaemonLog, quietLog } from '@rsio/base/log/log';
import { PLAIN_FORM } from '@rsio/base/log/log-form';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { EventLog, eventOf, orderLog } from './event-log.ts';
import { EventHistory } from '@rsio/common/events/event-history';

test('a line with an event is logged and becomes an event, and others are only logged', async () => {
  const lines: string[] = [];
  const write = (message: string): void => void lines.push(message);
  const nothing = (): void => undefined;
  const sink: DaemonLog = {
    ...quietLog,
    info: write,
    error: write,
    child: () => ({ ...quietLog, warn: write }),
    setLevel: nothing,
    reopen: nothing,
    redirect: nothing,
    way: { file: '', form: PLAIN_FORM },
    flushSync: nothing,
    close: nothing,
  };
  const events = new EventHistory(new FakeClock(), null);
  const log = new EventLog(sink, events);
  log.info('plain');
  log.info('Client a came', eventOf('client a', 'absent', 'connected'));
  log.error('Refused: see above', eventOf('configuration', '-', 'refused', 'Line 3 is wrong'));
  log.child({}).warn('Child', eventOf('x', 'a', 'b'));
  log.debug('below the level', eventOf('y', 'a', 'b'));
  expect(lines).toEqual(['plain', 'Client a came', 'Refused: see above', 'Child']);
  expect((await events.read({ count: 9, after: null, waitMs: 0 })).events).toMatchObject([
    { object: 'client a', from: 'absent', to: 'connected', reason: 'Client a came' },
    { object: 'configuration', reason: 'Line 3 is wrong' },
    { object: 'x' },
    { object: 'y' },
  ]);
});

test('an event names the order in whose execution it was logged, and other lines stay as they are', async () => {
  const events = new EventHistory(new FakeClock(), null);
  const fields: unknown[] = [];
  const order = { who: 'client big-2', method: 'volume-grow', id: 'x1' };
  const sink = { ...quietLog, info: (_text: string, given: unknown) => void fields.push(given) } as unknown as DaemonLog;
  const log = orderLog(new EventLog(sink, events), order);
  log.info('plain', { volume: 'db' });
  log.warn('Grown', eventOf('volume db@0', '-', 'grown'));
  log.child({}).error('Of a child', eventOf('volume db@0', '-', 'moved'));
  expect(fields).toEqual([{ volume: 'db' }]);
  expect((await events.read({ count: 9, after: null })).events).toMatchObject([
    { to: 'grown', order },
    { to: 'moved', order },
  ]);
});
