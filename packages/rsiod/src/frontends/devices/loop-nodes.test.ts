// Tests which nodes of loop devices are removed from /dev, and when. The machine is a fake. Real devices are tested in
// test/integration/block-devices.test.ts.

import { RsError } from '@rsio/base/lib/errors';
import { LOOP_NODES_QUIET_MS, LOOP_NODES_TRIES } from '../limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, it } from 'vitest';
import { LoopNodes } from './loop-nodes.ts';

class Machine {
  readonly clock = new FakeClock();
  readonly nodes = new Set(['loop0', 'loop1']);
  readonly busy = new Set<number>();
  readonly asked: number[][] = [];
  readonly said: string[] = [];
  /** The reason why no node can be removed; null if every node can be removed. */
  obstacle: string | null = null;
  readonly loops = new LoopNodes({
    clock: this.clock,
    log: { warn: (sentence) => void this.said.push(sentence) },
    there: async () => new Set(this.nodes),
    remove: async (numbers) => {
      this.asked.push([...numbers]);
      if (this.obstacle !== null) throw new RsError('E_SYSTEM', this.obstacle);
      const gone = numbers.filter((number) => !this.busy.has(number));
      for (const number of gone) this.nodes.delete(`loop${number}`);
      return gone;
    },
  });

  make(number: number): Promise<{ device: string; isNew: boolean }> {
    return this.loops.watch(async () => {
      this.nodes.add(`loop${number}`);
      return `/dev/loop${number}`;
    });
  }

  async pass(): Promise<void> {
    this.clock.advance(LOOP_NODES_QUIET_MS);
    for (let times = 0; times < 20; times++) await Promise.resolve();
  }
}

it('a node that appears with a device counts as new, and is removed once it has no device; all nodes of a burst go together', async () => {
  const machine = new Machine();
  expect(await machine.make(1)).toEqual({ device: '/dev/loop1', isNew: false });
  expect(await machine.make(2)).toEqual({ device: '/dev/loop2', isNew: true });
  expect(await machine.make(3)).toEqual({ device: '/dev/loop3', isNew: true });
  machine.loops.release('/dev/loop2');
  machine.loops.release('/dev/loop3');
  expect(machine.asked).toEqual([]);
  await machine.pass();
  expect(machine.asked).toEqual([[2, 3]]);
  expect([...machine.nodes]).toEqual(['loop0', 'loop1']);
});

it('a node in use is retried a limited number of times, and a node that is used again is left alone', async () => {
  const machine = new Machine();
  await machine.make(2);
  machine.busy.add(2);
  machine.loops.release('/dev/loop2');
  for (let times = 0; times < LOOP_NODES_TRIES + 5; times++) await machine.pass();
  expect(machine.asked.length).toBe(LOOP_NODES_TRIES);
  machine.busy.clear();
  machine.loops.release('/dev/loop2');
  await machine.make(2);
  await machine.pass();
  expect([machine.asked.length, machine.clock.timersPending]).toEqual([LOOP_NODES_TRIES, 0]);
});

it('no node is removed while a device is being made, and the end of the process does not wait for a delay', async () => {
  const machine = new Machine();
  await machine.make(2);
  machine.loops.release('/dev/loop2');
  let done: (device: string) => void = () => undefined;
  const making = machine.loops.watch(() => new Promise((resolve) => (done = resolve)));
  await machine.pass();
  expect(machine.asked).toEqual([]);
  done('/dev/loop9');
  await making;
  await machine.loops.settle();
  expect([machine.asked, machine.clock.timersPending]).toEqual([[[2]], 0]);
});

it('nodes that cannot be removed stay, and one line in the log names the reason for all', async () => {
  const machine = new Machine();
  machine.obstacle = "perl: Can't open perl script: No such file or directory";
  for (const number of [2, 3]) {
    await machine.make(number);
    machine.loops.release(`/dev/loop${number}`);
    await machine.pass();
  }
  expect([machine.asked, machine.clock.timersPending]).toEqual([[[2], [3]], 0]);
  expect(machine.said).toEqual([
    expect.stringMatching(/^Unused nodes of loop devices stay in \/dev \(perl: Can't open .+\): install perl and let rsiod open/),
  ]);
});
