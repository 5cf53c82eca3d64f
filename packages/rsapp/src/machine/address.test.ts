// Tests which device gets an address, and how the output of ip(8) is read. application-machine.test.ts adds a real address, and announces
// it.

import type { Clock } from '@rsio/base/lib/clock';
import { parseAddress } from '@rsio/base/lib/units';
import { expect, it } from 'vitest';
import { Addresses, placesIn } from './address.ts';
import type { RunProgram } from './programs.ts';

const TEXT =
  '1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever\n' +
  '2: eth0    inet 10.0.0.7/24 brd 10.0.0.255 scope global eth0\\       valid_lft forever\n' +
  '3: eth1@if4    inet6 fd00::5/64 scope global \\       valid_lft forever\n';

/** A clock on which each wait ends at once, and shows afterwards that its time has passed. */
let nowMs = 0;
const hurried: Clock = {
  monotonicMs: () => nowMs,
  wallMs: () => nowMs,
  after: (delayMs, fire) => {
    nowMs += delayMs;
    queueMicrotask(fire);
    return { cancel: () => undefined };
  },
  soon: (fire) => queueMicrotask(fire),
};

function scene(text = TEXT) {
  const calls: string[] = [];
  const run: RunProgram = (program, args) => {
    calls.push([program, ...args.map((one) => one.replace(/^.*\//, (folder) => (one.endsWith('.pl') ? '' : folder)))].join(' '));
    const link = '2: eth0: <UP> mtu 1500\\    link/ether aa:bb:cc:dd:ee:ff brd ff:ff:ff:ff:ff:ff \n';
    return Promise.resolve({ code: 0, stdout: args.includes('link') ? link : text, stderr: '' });
  };
  return { addresses: new Addresses(run, hurried), calls };
}

it('reads devices and addresses', () => {
  expect(placesIn(TEXT)).toEqual([
    { device: 'lo', address: '127.0.0.1', prefix: 8, state: 'usable' },
    { device: 'eth0', address: '10.0.0.7', prefix: 24, state: 'usable' },
    { device: 'eth1', address: 'fd00::5', prefix: 64, state: 'usable' },
  ]);
});

it('adds an address to the device of its subnet, and announces it', async () => {
  const { addresses, calls } = scene();
  expect(await addresses.add({ address: parseAddress('10.0.0.5'), prefix: 24, device: null })).toBeNull();
  expect(calls).toEqual([
    'ip -o address show',
    'ip address add 10.0.0.5/24 dev eth0',
    'ip -o link show dev eth0',
    'perl announce.pl 2 aa:bb:cc:dd:ee:ff 10.0.0.5 3',
  ]);
});

it('names the key if no device fits, and does not add an address that is there', async () => {
  await expect(scene().addresses.add({ address: parseAddress('10.1.0.5'), prefix: 24, device: null })).rejects.toThrow(
    'set address-device',
  );
  const { addresses, calls } = scene();
  await addresses.add({ address: parseAddress('10.0.0.7'), prefix: 24, device: null });
  expect(calls.join(' ')).not.toContain('address add');
});

it('removes an address wherever it is', async () => {
  const { addresses, calls } = scene(TEXT.replace('127.0.0.1/8', '10.0.0.5/32'));
  await addresses.remove({ address: parseAddress('10.0.0.5'), prefix: 24, device: 'eth0' });
  expect(calls.at(-1)).toBe('ip address del 10.0.0.5/32 dev lo');
});

const SIX = { address: parseAddress('FD00:78:0::20'), prefix: 64, device: 'eth1' };
const line6 = (flags: string): string => `${TEXT}4: eth1    inet6 fd00:78::20/64 scope global ${flags}\\       valid_lft forever\n`;

it('an IPv6 address is here, and is removed, however the file writes it', async () => {
  const { addresses, calls } = scene(line6(''));
  expect(await addresses.isHere(SIX)).toBe(true);
  await addresses.remove(SIX);
  expect(calls.at(-1)).toBe('ip address del fd00:78::20/64 dev eth1');
});

it('an IPv6 address counts as added when the kernel has checked it, and a duplicate or a long check is named', async () => {
  for (const [flags, reason] of [
    ['dadfailed tentative ', 'Another machine has address fd00:78::20 on the network of eth1'],
    ['tentative ', 'is still tentative after 10 s'],
  ] as const) {
    const { addresses, calls } = scene(line6(flags));
    await expect(addresses.add(SIX)).rejects.toMatchObject({ code: 'E_BUSY', message: expect.stringContaining(reason) as string });
    // The next attempt makes the kernel ask again.
    expect(calls.at(-1)).toBe('ip address del fd00:78::20/64 dev eth1');
    expect(await addresses.isHere(SIX)).toBe(false);
  }
  let looks = 0;
  const run: RunProgram = () => Promise.resolve({ code: 0, stdout: line6(++looks < 5 ? 'tentative ' : ''), stderr: '' });
  expect(await new Addresses(run, hurried).add(SIX)).toBeNull();
  expect(looks).toBe(5);
});
