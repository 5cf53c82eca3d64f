// Tests that the commands report the losses caused by force, before or after they occur. A table of answers replaces the daemon. The texts
// about losses are tested in rsiod's final-flush.test.ts.

import { expect, it } from 'vitest';
import { CUT_STATE } from '@rsio/api/rsiod/methods';
import { RsError } from '@rsio/base/lib/errors';
import type { CommandContext } from '../cli/context.ts';
import { stopByForce, reportLosses } from './forced-losses.ts';

function scene(answers: Readonly<Record<string, (params: { force: boolean }) => unknown>>) {
  const said: string[] = [];
  const context = {
    clock: { wallMs: () => 1000 },
    note: (sentence: string) => void said.push(sentence),
    call: async (method: string, params: { force: boolean }) => {
      said.push(`${method} ${JSON.stringify(params.force ?? null)}`);
      return answers[method]?.(params);
    },
  } as unknown as CommandContext;
  return { context, said };
}

const CUT = { object: 'volume osl:oracle@0', from: 'attached', to: CUT_STATE, reason: 'it was in use by mount point /mnt' };

it('-d --force reports the losses that it caused, and no earlier ones', async () => {
  const { context, said } = scene({
    events: () => ({
      events: [
        { ...CUT, atMs: 999 },
        { ...CUT, atMs: 1000 },
      ],
    }),
  });
  expect(await reportLosses(context, true, async () => 7)).toBe(7);
  expect(said).toEqual(['events null', 'Warning: volume osl:oracle@0: it was in use by mount point /mnt']);
});

it('without force, or if the daemon cannot list its events, nothing is reported', async () => {
  const { context, said } = scene({
    events: () => {
      throw new RsError('E_VERSION', 'What is that?');
    },
  });
  expect([await reportLosses(context, false, async () => 7), said]).toEqual([7, []]);
  expect([await reportLosses(context, true, async () => 7), said]).toEqual([7, ['events null']]);
});

it('stop --force names the users of devices before it stops rsiod', async () => {
  const { context, said } = scene({
    stop: ({ force }) => {
      if (!force) throw new RsError('E_IN_USE', 'osl:oracle@0 is in use by mount point /mnt: end that first, or use rsconfig stop --force');
    },
  });
  await stopByForce(context);
  expect(said).toEqual([
    'stop false',
    'Warning: osl:oracle@0 is in use by mount point /mnt: unwritten data is lost and I/O to the device fails; unmount its file system',
    'stop true',
  ]);
});

it('stop --force reports nothing if no device is in use', async () => {
  const { context, said } = scene({ stop: () => ({}) });
  await stopByForce(context);
  expect(said).toEqual(['stop false']);
});
