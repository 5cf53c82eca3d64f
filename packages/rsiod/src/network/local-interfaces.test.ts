// Tests the subnets of the client's interfaces, as the machine's addresses come and go. test/netlab/paths-follow.test.ts tests real
// interfaces.

import type { ClientInterfaceConfig } from '@rsio/common/config/schema/types';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { expect, test } from 'vitest';
import { localInterfaces } from './local-interfaces.ts';

function configured(address: string, prefixLength: number | null = null): ClientInterfaceConfig {
  return { name: `if-${address}`, address, prefixLength, port: 5000, portGiven: null };
}

function on(device: string, address: string, prefixLength: number): MachineInterface {
  return { device, address, prefixLength, broadcast: null, mtuBytes: null, linkMbps: null, hasCarrier: true, isLoopback: device === 'lo' };
}

test("the file takes precedence, then the machine, then the machine's earlier facts", () => {
  const file = [configured('10.0.1.1', 16), configured('10.0.2.1'), configured('127.5.0.1'), configured('10.0.3.1')];
  const machine = [on('eth0', '10.0.1.1', 24), on('eth1', '10.0.2.1', 23), on('lo', '127.0.0.1', 8)];
  const first = localInterfaces(file, machine, []);
  expect(first.map(({ prefixLength }) => prefixLength)).toEqual([16, 23, 24, null]);
  expect(localInterfaces(file, [], first).map(({ prefixLength }) => prefixLength)).toEqual([16, 23, 24, null]);
  const moved = localInterfaces(file, [on('eth1', '10.0.2.1', 20), on('eth2', '10.0.3.1', 24)], first);
  expect(moved.map(({ prefixLength }) => prefixLength)).toEqual([16, 20, 24, 24]);
});
