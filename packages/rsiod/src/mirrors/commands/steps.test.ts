// Tests the steps of a command: which steps are undone after a failure, in which order, and the error. Invariant: if a step cannot be
// undone completely, the steps before it are not undone.

import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { runSteps, type Step } from './steps.ts';

/** Runs the steps a, b and c. `failing`: the step that fails. `leaves`: the step whose `undo` does not remove everything. */
async function run(failing: string, leaves: string | null = null): Promise<{ readonly did: string[]; readonly error: unknown }> {
  const did: string[] = [];
  const steps = ['a', 'b', 'c'].map(
    (name): Step => ({
      name: `No ${name}`,
      do: () => {
        did.push(name);
        return name === failing ? Promise.reject(new RsError('E_HELD', `${name} is held`)) : Promise.resolve();
      },
      undo: () => {
        did.push(`-${name}`);
        return Promise.resolve(name === leaves ? [`${name} is left`, 'and more'] : []);
      },
    }),
  );
  const error: unknown = await runSteps(steps, (left) => `left: ${left.join(' ')}`).catch((thrown: unknown) => thrown);
  return { did, error };
}

test('steps that succeed are done in order, and none is taken back', async () => {
  expect(await run('')).toEqual({ did: ['a', 'b', 'c'], error: undefined });
});

test('the step that failed may have made something, so that it is taken back first', async () => {
  const { did, error } = await run('b');
  expect(did).toEqual(['a', 'b', '-b', '-a']);
  expect(error).toMatchObject({ code: 'E_HELD', message: 'No b: b is held; left: ' });
});

test('what is left of a step needs the steps before it, which stay', async () => {
  const { did, error } = await run('c', 'b');
  expect(did).toEqual(['a', 'b', 'c', '-c', '-b']);
  expect(error).toMatchObject({ message: 'No c: c is held; left: b is left and more' });
});

test('steps that make nothing have nothing to take back, and the error says only what failed', async () => {
  const work = runSteps([{ name: 'Nothing was changed', do: () => Promise.reject(new RsError('E_VOLUME', 'it is away')) }]);
  await expect(work).rejects.toMatchObject({ code: 'E_VOLUME', message: 'Nothing was changed: it is away' });
});
