// Tests the progress line of many volumes: when it appears, its text, and that it is always removed at the end. Replacing the line on a
// terminal is tested in waiting.test.ts.

import { expect, test } from 'vitest';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { VOLUME_PROGRESS_MS } from '../limits.ts';
import { contextOf } from '../testing/context.ts';
import { attachment } from '../testing/views.ts';
import { withProgress } from './volume-waiting.ts';

class Scene {
  readonly clock = new FakeClock();
  readonly lines: string[] = [];
  attached = 0;
  answers = true;

  context(seen = true) {
    return contextOf({
      clock: this.clock,
      waiting: { progress: seen ? (line) => void this.lines.push(line) : null, onStop: () => () => undefined },
      call: async () => {
        if (!this.answers) throw new Error('busy');
        return { attachments: Array.from({ length: this.attached }, () => attachment()), awaited: [] };
      },
    });
  }

  async second(): Promise<void> {
    this.clock.advance(VOLUME_PROGRESS_MS);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('from the first second on, each second, until the work is done; a daemon that does not answer it is asked again', async () => {
  const scene = new Scene();
  let finish: (word: string) => void = () => undefined;
  const work = new Promise<string>((resolve) => (finish = resolve));
  const shown = withProgress(scene.context(), 'attaching', work);
  expect(scene.lines).toEqual([]);
  scene.attached = 1;
  await scene.second();
  scene.answers = false;
  await scene.second();
  scene.answers = true;
  scene.attached = 40;
  await scene.second();
  finish('done');
  expect(await shown).toBe('done');
  expect(scene.lines).toEqual(['attaching: 1 volume attached so far', 'attaching: 40 volumes attached so far', '']);
  await scene.second();
  expect(scene.clock.timersPending).toBe(0);
});

test('errors pass through, and short work or work without a terminal has no line', async () => {
  const scene = new Scene();
  await expect(withProgress(scene.context(), 'detaching', Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await withProgress(scene.context(false), 'detaching', Promise.resolve(7))).toBe(7);
  expect(scene.lines).toEqual(['']);
  expect(scene.clock.timersPending).toBe(0);
});
