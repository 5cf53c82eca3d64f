// Tests which device gets an address, and how the output of ip(8) is read. application-machine.test.ts adds a real address, and announces
// it.

import { expect, it } from 'vitest';
import { Addresses, placesIn } from './address.ts';
import type { RunProgram } from './programs.ts';

const TEXT =
  '1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever\n' +
  '2: eth0    inet 10.0.0.7/24 brd 10.0.0.255 scope global eth0\\       valid_lft forever\n' +
  '3: eth1@if4    inet6 fd00::5/64 scope global \\       valid_lft forever\n';

function scene(text = TEXT) {
  const calls: string[] = [];
  const run: RunProgram = (program, args) => {
    calls.push([program, ...args.map((one) => one.replace(/^.*\//, (folder) => (one.endsWith('.pl') ? '' : folder)))].join(' '));
    const link = '2: eth0: <UP> mtu 1500\\    link/ether aa:bb:cc:dd:ee:ff brd ff:ff:ff:ff:ff:ff \n';
    return Promise.resolve({ code: 0, stdout: args.includes('link') ? link : text, stderr: '' });
  };
  return { addresses: new Addresses(run), calls };
}

it('reads devices and addresses', () => {
  expect(placesIn(TEXT)).toEqual([
    { device: 'lo', address: '127.0.0.1', prefix: 8 },
    { device: 'eth0', address: '10.0.0.7', prefix: 24 },
    { device: 'eth1', address: 'fd00::5', prefix: 64 },
  ]);
});

it('adds an address to the device of its subnet, and announces it', async () => {
  const { addresses, calls } = scene();
  expect(await addresses.add({ address: '10.0.0.5', prefix: 24, device: null })).toBeNull();
  expect(calls).toEqual([
    'ip -o address show',
    'ip address add 10.0.0.5/24 dev eth0',
    'ip -o link show dev eth0',
    'perl announce.pl 2 aa:bb:cc:dd:ee:ff 10.0.0.5 3',
  ]);
});

it('names the key if no device fits, and does not add an address that is there', async () => {
  await expect(scene().addresses.add({ address: '10.1.0.5', prefix: 24, device: null })).rejects.toThrow('set address-device');
  const { addresses, calls } = scene();
  await addresses.add({ address: '10.0.0.7', prefix: 24, device: null });
  expect(calls.join(' ')).not.toContain('address add');
});

it('removes an address wherever it is', async () => {
  const { addresses, calls } = scene(TEXT.replace('127.0.0.1/8', '10.0.0.5/32'));
  await addresses.remove({ address: '10.0.0.5', prefix: 24, device: 'eth0' });
  expect(calls.at(-1)).toBe('ip address del 10.0.0.5/32 dev lo');
});
