// Requests that share one look at the machine: how many looks are made, and the rule that no result is older than its request. The results
// of real looks are tested in test/integration/block-devices.test.ts.

import { expect, it } from 'vitest';
import { SharedLook } from './shared-look.ts';

it('requests during an inspection wait for the next one, which they share; an error belongs to one inspection only', async () => {
  const looks: { resolve: (value: number) => void; reject: (error: Error) => void }[] = [];
  const shared = new SharedLook(() => new Promise<number>((resolve, reject) => void looks.push({ resolve, reject })));
  const [first, second, third] = [shared.ask(), shared.ask(), shared.ask()];
  expect(looks).toHaveLength(1);
  looks[0]?.resolve(1);
  expect(await first).toBe(1);
  await new Promise((resolve) => setImmediate(resolve));
  expect(looks).toHaveLength(2);
  const fourth = shared.ask();
  looks[1]?.reject(new Error('no'));
  await expect(second).rejects.toThrow('no');
  await expect(third).rejects.toThrow('no');
  await new Promise((resolve) => setImmediate(resolve));
  expect(looks).toHaveLength(3);
  looks[2]?.resolve(3);
  expect(await fourth).toBe(3);
  const fifth = shared.ask();
  expect(looks).toHaveLength(4);
  looks[3]?.resolve(4);
  expect(await fifth).toBe(4);
});
