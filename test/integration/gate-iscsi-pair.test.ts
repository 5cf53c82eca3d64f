// Two iSCSI gates on two machines for one volume, with a raw host that has a session with each: the host sees one unit, and the states of both
// ports. It moves the volume by SET TARGET PORT GROUPS. One gate stands still, or is killed. Rules: D1, D2, D3, G41.

import { beforeAll, expect, it } from 'vitest';
import { SocketInitiator } from '@rsio/gates/iscsi/testing/socket-initiator';
import { useHosts } from '../support/hosts/hosts.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { type GateIndex, GatePair } from '../support/scenes/gate-pair.ts';

const WAIT_MS = 60_000;
const BLOCK = 4096;
const STANDBY = '2/040b';

const hosts = useHosts('file');
let pair: GatePair;

beforeAll(async () => {
  pair = await GatePair.begin(hosts, await hosts.network(1), undefined, ['--iscsi']);
});

async function login(at: GateIndex): Promise<SocketInitiator> {
  const { port, address } = pair.targets[at];
  const lun = (await pair.viewOf(at)).volumes[0]?.nsid ?? 0;
  const host = await waitFor(
    () => SocketInitiator.login(port, { target: pair.nqn, lun }, address).catch(() => null),
    WAIT_MS,
    'The host logs in',
  );
  hosts.onClean(() => host.close());
  return host;
}

function block(text: string): Buffer {
  return Buffer.alloc(BLOCK, text);
}

/** Orders the volume to move to the gate, as a host does when it uses another path, and waits until the volume is there. */
async function moved(host: SocketInitiator, to: GateIndex): Promise<void> {
  await waitFor(
    async () => {
      await host.run([0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0], { data: Buffer.from([0, 0, 0, 0, 0, 0, 0, to + 1]) });
      return (await host.run([0, 0, 0, 0, 0, 0])).status === 0;
    },
    WAIT_MS,
    `The volume is at gate ${to + 1}`,
  );
}

/** The id of the unit (NAA), and the states of all port groups, such as `1:0`. */
async function seenBy(host: SocketInitiator): Promise<{ readonly id: string; readonly groups: string[] }> {
  const { data: page } = await host.run([0x12, 1, 0x83, 1, 0, 0], { bytes: 256 });
  const { data } = await host.run([0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], { bytes: 256 });
  const groups: string[] = [];
  for (let at = 4; at + 8 <= data.length && at < 4 + data.readUInt32BE(0); at += 8 + 4 * data[at + 7]!)
    groups.push(`${data.readUInt16BE(at + 2)}:${data[at]! & 15}`);
  let id = '';
  for (let at = 4; at + 4 <= page.length; at += 4 + page[at + 3]!)
    if ((page[at + 1]! & 0x3f) === 3) id = page.toString('hex', at + 4, at + 4 + page[at + 3]!);
  return { id, groups };
}

it('both gates show one unit, and the standby refuses I/O until it is ordered', async () => {
  const [first, second] = [await login(0), await login(1)];
  const [one, other] = [await seenBy(first), await seenBy(second)];
  expect([one.id.length > 0, one.id === other.id]).toEqual([true, true]);
  expect(one.groups).toContain('1:0');
  expect(other.groups).toContain('2:2');
  expect(await first.writeBlock(0, block('first'))).toMatchObject({ status: 0 });
  expect(await second.writeBlock(0, block('second'))).toMatchObject({ status: 2, sense: STANDBY });
  expect((await pair.viewOf(1)).volumes).toMatchObject([{ state: 'standby' }]);
});

it('a gate that stands still loses the volume to the gate that the host orders, and reverts nothing when it goes on', async () => {
  const [first, second] = [await login(0), await login(1)];
  expect(await first.writeBlock(0, block('A'))).toMatchObject({ status: 0 });
  const { pid } = await pair.gates[0].call('daemon', {});
  process.kill(pid, 'SIGSTOP');
  first.write(first.writeCommand(0, block('B')));
  await moved(second, 1);
  expect(await second.writeBlock(0, block('B'))).toMatchObject({ status: 0 });
  expect(await second.writeBlock(0, block('C'))).toMatchObject({ status: 0 });
  process.kill(pid, 'SIGCONT');
  const isLost = async (): Promise<boolean> =>
    (await pair.viewOf(0)).volumes.some(({ state }) => state === 'waiting' || state === 'standby');
  await waitFor(isLost, WAIT_MS, 'The first gate has lost the volume');
  expect((await second.readBlock(0, BLOCK)).equals(block('C'))).toBe(true);
  expect(await (await login(0)).writeBlock(0, block('D'))).toMatchObject({ status: 2, sense: STANDBY });
});

it('the machine of the active gate dies, and the host orders the volume to the other gate', async () => {
  await pair.isIn(1, 'active');
  const first = await login(0);
  await pair.gates[1].kill('rsiod');
  await moved(first, 0);
  expect((await first.readBlock(0, BLOCK)).equals(block('C'))).toBe(true);
  expect(await first.writeBlock(0, block('E'))).toMatchObject({ status: 0 });
  await pair.gates[1].start('rsiod');
  await pair.isIn(1, 'standby');
  expect(await (await login(1)).writeBlock(0, block('F'))).toMatchObject({ status: 2, sense: STANDBY });
  expect((await first.readBlock(0, BLOCK)).equals(block('E'))).toBe(true);
});
