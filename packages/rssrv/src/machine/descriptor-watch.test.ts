// Tests the log lines during and after a shortage of descriptors, with a fake clock. test/bad-input/descriptors.test.ts tests the real
// limit, and the effect on clients.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { DESCRIPTOR_LOG_MS, DESCRIPTOR_CHECK_MS } from './limits.ts';
import { expect, test } from 'vitest';
import { DescriptorWatch } from './descriptor-watch.ts';

function scene() {
  const clock = new FakeClock();
  const said: string[] = [];
  const state: { errno: string | null; tried: number } = { errno: null, tried: 0 };
  const say = (sentence: string): void => void said.push(sentence);
  const files = new DescriptorWatch(clock, { info: say, error: say }, () => {
    state.tried++;
    return state.errno;
  });
  files.watch();
  return { clock, said, state, files };
}

test('a lack of descriptors is logged at its start, occasionally while it lasts, and at its end', () => {
  const { clock, said, state } = scene();
  clock.advance(10 * DESCRIPTOR_CHECK_MS);
  expect(said).toEqual([]);
  state.errno = 'EMFILE';
  clock.advance(DESCRIPTOR_LOG_MS);
  expect(said).toEqual([
    expect.stringMatching(/^The server cannot open files or accept connections \(EMFILE\): raise the limit of open files/),
  ]);
  clock.advance(2 * DESCRIPTOR_LOG_MS);
  expect(said.slice(1)).toEqual([expect.stringMatching(/EMFILE\), for 60 s now: /), expect.stringMatching(/EMFILE\), for 120 s now: /)]);
  state.errno = null;
  clock.advance(10 * DESCRIPTOR_CHECK_MS);
  expect(said.slice(3)).toEqual([expect.stringMatching(/^Connections are accepted again, after 18\d s without a free descriptor$/)]);
});

test('another failure is no lack of descriptors, and nothing is tried after close', () => {
  const { clock, said, state, files } = scene();
  state.errno = 'ENOENT';
  clock.advance(DESCRIPTOR_CHECK_MS);
  files.close();
  const { tried } = state;
  clock.advance(DESCRIPTOR_LOG_MS);
  expect(said).toEqual([]);
  expect(tried).toBe(1);
  expect(state.tried).toBe(1);
});
