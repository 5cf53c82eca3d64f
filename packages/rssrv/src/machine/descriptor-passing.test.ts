// Tests descriptors that are passed over a real pair of sockets: the order of descriptors, tags, a full socket, and a process that has
// exited. No test leaves a descriptor open. The tests are skipped if koffi is not installed.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { closeAll, DescriptorReceiver, DescriptorSender } from './descriptor-passing.ts';
import { PASS_RETRY_MS, PASS_WAIT_MS } from './limits.ts';
import { type SystemCalls, systemCalls } from './system-calls.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let folder = '';
let calls: SystemCalls;
let clock: FakeClock;
let sender: DescriptorSender;
let receiver: DescriptorReceiver;
let mine = -1;
let theirs = -1;

beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rssrv-pass-'));
});
afterAll(() => removeFolder(folder));
beforeEach((context) => {
  const here = systemCalls();
  context.skip(here === null, 'needs koffi: npm run build installs it on the usual platforms');
  if (here === null) return;
  calls = here;
  clock = new FakeClock();
  const [ours, other] = calls.socketPair();
  [mine, theirs] = [ours, other];
  sender = new DescriptorSender(calls, clock, ours);
  receiver = new DescriptorReceiver(calls, theirs);
});
afterEach(() => {
  sender.close();
  closeAll([theirs]);
});

function opened(text: string): number {
  const file = path.join(folder, text);
  fs.writeFileSync(file, text);
  return fs.openSync(file, 'r');
}

/** Sends until the socket is full. */
function fill(): void {
  const one = opened('x');
  while (calls.send(mine, 0, [one]));
  closeAll([one]);
}

const openCount = (): number => fs.readdirSync('/proc/self/fd').length;
const contents = (descriptors: readonly number[]): string[] => descriptors.map((one) => fs.readFileSync(one, 'utf8'));

it('descriptors arrive by their tag, in any order of taking, and the sender keeps none', async () => {
  const before = openCount();
  const first = await sender.pass([opened('a'), opened('b')]);
  const second = await sender.pass([opened('c')]);
  expect(openCount()).toBe(before);
  const later = receiver.take(second);
  const earlier = receiver.take(first);
  expect([contents(earlier), contents(later)]).toEqual([['a', 'b'], ['c']]);
  closeAll([...earlier, ...later]);
  expect(() => receiver.take(second)).toThrow('has received no files');
  receiver.discard(await sender.pass([opened('d')]));
  expect(openCount()).toBe(before);
});

it('an open file that was passed shares nothing with another one: each has its own position', async () => {
  const tag = await sender.pass([opened('one')]);
  const [got = -1] = receiver.take(tag);
  expect(fs.readSync(got, Buffer.alloc(2), 0, 2, null)).toBe(2);
  expect(contents([opened('one')])).toEqual(['one']);
  closeAll([got]);
});

it('what is lent stays open here, so that a connection is closed by its owner', async () => {
  const one = opened('lent');
  const tag = await sender.lend([one]);
  expect(contents([one])).toEqual(['lent']);
  closeAll([one, ...receiver.take(tag)]);
});

it('a full socket is tried again until the process takes something, and given up after a time', async () => {
  fill();
  const waiting = sender.pass([opened('y')]);
  expect(clock.timersPending).toBe(1);
  await expect(sender.pass([opened('another')])).rejects.toThrow('it takes none at present');
  for (;;) {
    const one = calls.receive(theirs);
    if (one === null) break;
    closeAll(one.descriptors);
  }
  clock.advance(PASS_RETRY_MS);
  closeAll(receiver.take(await waiting));
  fill();
  const failing = expect(sender.pass([opened('z')])).rejects.toThrow(`it has taken none for ${PASS_WAIT_MS / 1_000} s`);
  for (let passed = 0; passed <= PASS_WAIT_MS; passed += PASS_RETRY_MS) {
    clock.advance(PASS_RETRY_MS);
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await failing;
});

it('a process that has exited gets nothing, and the descriptors are closed', async () => {
  closeAll([theirs]);
  // The kernel may give the number to another file, which must stay open.
  theirs = -1;
  const before = openCount();
  await expect(sender.pass([opened('a')])).rejects.toThrow('EPIPE');
  sender.close();
  await expect(sender.pass([opened('a')])).rejects.toThrow('it has exited');
  // One descriptor fewer than at the beginning is open, because the sender has also closed its own socket.
  expect(openCount()).toBe(before - 1);
});
