// Logins of hosts that have not proven themselves: they own no controller, no queue, no place in a count, no keep-alive and no memory, whoever they
// say they are. Strangers know the names of hosts, and the numbers of their controllers. Rules: G42, G47.

import { describe, expect, it } from 'vitest';
import { GATE_CONTROLLERS_MAX, GATE_HOST_LOGINS_MAX, GATE_QUEUE_END_MS } from '../limits.ts';
import { authReceive, authSend, ChapHost } from './testing/chap-host.ts';
import { connectCommand } from './testing/nvme-host.ts';
import { GateRig, NQN, type RigConnection } from './testing/nvme-rig.ts';

const KEY = Buffer.alloc(32, 'h');

function withSecrets(): GateRig {
  const rig = new GateRig();
  rig.secrets = { host: { hash: 0, key: KEY }, own: null };
  return rig;
}

function stranger(rig: GateRig, options: { readonly qid?: number; readonly cntlid?: number } = {}): RigConnection {
  const one = rig.connection();
  one.greet();
  const [done] = one.run(connectCommand({ nqn: NQN, ...options }));
  if (done?.kind !== 'done') throw new Error('Connect');
  one.cntlid = done.low & 0xffff;
  return one;
}

function proves(one: RigConnection): void {
  const chap = new ChapHost(KEY, NQN);
  const message = (): Buffer => {
    const data = one.run(authReceive(9)).find((answer) => answer.kind === 'data');
    return data?.kind === 'data' ? data.data : Buffer.alloc(0);
  };
  one.run(authSend(8, chap.negotiate()));
  one.run(authSend(8, chap.reply(message())));
  expect(chap.isSuccess(message())).toBe(true);
}

/** A host that has proven itself, with an I/O queue. */
function host(rig: GateRig): { admin: RigConnection; io: RigConnection } {
  const admin = stranger(rig);
  proves(admin);
  admin.run({ opcode: 0x7f, fabricsType: 0, cid: 1, dwords: [0, 0x14, 0x46_0001] });
  const io = stranger(rig, { qid: 1, cntlid: admin.cntlid });
  proves(io);
  return { admin, io };
}

const write = { opcode: 1, cid: 5, nsid: 1, dwords: [0, 0, 0], data: Buffer.alloc(512, 'w') };

describe('a stranger', () => {
  it('owns nothing, however often it logs in under the name of a host', () => {
    const rig = withSecrets();
    const all = Array.from({ length: GATE_CONTROLLERS_MAX + GATE_HOST_LOGINS_MAX }, () => stranger(rig));
    expect([rig.subsystem.controllers.size, rig.connected, rig.hosts.size, rig.log]).toEqual([0, 0, 0, []]);
    const { io } = host(rig);
    expect(io.codes(write)).toEqual(['#5 0']);
    expect([rig.subsystem.controllers.size, rig.hosts.size]).toEqual([1, 1]);
    for (const one of all) one.vanish();
    expect([rig.subsystem.controllers.size, io.codes(write)]).toEqual([1, ['#5 0']]);
  });

  it('has no keep-alive, and is refused all commands', () => {
    const rig = withSecrets();
    const one = stranger(rig);
    rig.nowMs += 1e6;
    rig.subsystem.tick();
    expect([one.transport.destroyed, one.codes({ opcode: 0x18, cid: 3 }, write)]).toEqual([false, ['#3 4191', '#5 4191']]);
  });

  it('neither takes the number of a queue from a host, nor ends its controller', () => {
    const rig = withSecrets();
    const { admin, io } = host(rig);
    const queue = stranger(rig, { qid: 2, cntlid: admin.cntlid });
    const second = stranger(rig, { qid: 2, cntlid: admin.cntlid });
    proves(second);
    expect(second.codes(write)).toEqual(['#5 0']);
    queue.vanish();
    rig.nowMs += GATE_QUEUE_END_MS + 1;
    rig.subsystem.tick();
    expect([io.codes(write), admin.transport.destroyed]).toEqual([['#5 0'], false]);
  });

  it('that is proven when its place is taken is cut off', () => {
    const rig = withSecrets();
    const { admin } = host(rig);
    const [first, second] = [stranger(rig, { qid: 2, cntlid: admin.cntlid }), stranger(rig, { qid: 2, cntlid: admin.cntlid })];
    proves(second);
    const chap = new ChapHost(KEY, NQN);
    first.run(authSend(8, chap.negotiate()));
    const data = first.run(authReceive(9)).find((answer) => answer.kind === 'data');
    first.run(authSend(8, chap.reply(data?.kind === 'data' ? data.data : Buffer.alloc(0))));
    first.run(authReceive(9));
    expect([first.transport.destroyed, second.codes(write)]).toEqual([true, ['#5 0']]);
  });
});
