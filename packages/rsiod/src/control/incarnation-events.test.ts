// A server that was started anew, told in one line although each of its volumes began a new life.
// Leaves volumes of which something is sent again to notifications.ts.

import { NEW_LIFE_NAMED_MAX, NEW_LIFE_NEWS_MS } from './limits.ts';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import { expect, it } from 'vitest';
import { IncarnationEvents } from './incarnation-events.ts';

it('says one sentence for all volumes of a server, and each once', () => {
  const clock = new FakeClock();
  const said: string[] = [];
  const news = new IncarnationEvents(clock, (server, sentence) => said.push(`${server}: ${sentence}`));
  for (let number = 0; number < 500; number++) news.add('big-9', `osl:v${number}@0`);
  news.add('big-10', 'osl:a@0');
  expect(said).toEqual([]);
  clock.advance(NEW_LIFE_NEWS_MS);
  const named = Array.from({ length: NEW_LIFE_NAMED_MAX }, (_, number) => `osl:v${number}@0`).join(', ');
  const all = `${named} and ${500 - NEW_LIFE_NAMED_MAX} more`;
  const sentence = (which: string): string => `The storage began a new life: everything that was written to ${which} is flushed`;
  expect(said).toEqual([`big-9: ${sentence(all)}`, `big-10: ${sentence('osl:a@0')}`]);
  clock.advance(NEW_LIFE_NEWS_MS);
  expect([said.length, clock.timersPending]).toEqual([2, 0]);
});
