// Passes one in-memory connection to another process. Tests what the handshake reports about an export of another process, and that no
// byte is lost or reordered, however the input is split. nbd-passing.test.ts uses real sockets and processes.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NbdConnection } from './nbd-connection.ts';
import { type Agreement, isOfThisProcess, NbdHandshake } from './nbd-handshake.ts';
import { FLUSH, Rig, WRITE } from './testing/connection-rig.ts';
import { MemoryTransport } from './testing/memory-transport.ts';
import { MemoryVolume } from './testing/memory-volume.ts';
import { contexts, named, optionBytes, requestBytes, u32 } from './testing/nbd-client.ts';
import { exportFacts, type NbdExport } from './wire/nbd-export.ts';

interface Left {
  readonly agreed: Agreement;
  readonly reply: Buffer;
  readonly rest: Buffer;
}

const volume = new MemoryVolume({
  name: 'oracle@now',
  readonly: true,
  blockSizeBytes: 4096,
  olderSnapshots: [{ name: 'monday', id: 'm' }],
});
const facts = JSON.parse(JSON.stringify(exportFacts(volume))) as NbdExport;

/** A connection whose client can choose only an export of another process. */
function passing(exports: () => readonly NbdExport[]): {
  transport: MemoryTransport;
  connection: NbdConnection;
  left: Left[];
  log: string[];
} {
  const transport = new MemoryTransport();
  const [left, log]: [Left[], string[]] = [[], []];
  const rig = new Rig();
  const { data, batches, budget, submissions } = rig;
  const pools = { data, batches, budget, submissions, schedule: (fire: () => void) => fire() };
  const connection = new NbdConnection(transport, { list: exports }, pools, {
    serving: () => log.push('serving'),
    elsewhere: (agreed, reply, rest) => left.push({ agreed, reply, rest }),
    broken: (reason) => log.push(reason),
    failed: () => log.push('failed'),
    finished: () => log.push('finished'),
  });
  connection.start();
  return { transport, connection, left, log };
}

const choice = Buffer.concat([u32(3), optionBytes(8), optionBytes(3), optionBytes(7, named('', [3]))]);
const requests = Buffer.concat([
  requestBytes({ type: WRITE, cookie: 1, offset: 512, data: Buffer.alloc(1024, 'ab') }),
  requestBytes({ type: FLUSH, cookie: 2 }),
]);

it('bytes are neither lost nor reordered, wherever they are cut and whenever answers are sent', () => {
  const stream = Buffer.concat([choice, requests]);
  const cuts = fc.array(fc.record({ bytes: fc.integer({ min: 1, max: 400 }), isSlow: fc.boolean() }), { maxLength: 20 });
  fc.assert(
    fc.property(cuts, (pieces) => {
      const target = new Rig();
      const { transport, connection, left, log } = passing(() => [exportFacts(target.volume)]);
      let at = 0;
      for (const { bytes, isSlow } of [...pieces, { bytes: stream.length, isSlow: false }]) {
        // A paused socket is not read; undelivered bytes stay in the kernel.
        if (!transport.paused && left.length === 0 && at < stream.length) {
          const piece = Buffer.from(stream.subarray(at, at + bytes));
          at += piece.length;
          connection.receive(piece, 0, piece.length);
          piece.fill(0xdd);
        }
        if (!isSlow) transport.deliver();
      }
      while (left.length === 0) {
        transport.deliver();
        if (transport.paused || left.length > 0) continue;
        connection.receive(stream, at, stream.length);
        at = stream.length;
      }
      const [{ agreed, reply, rest }] = left as [Left];
      expect(left).toHaveLength(1);
      expect(transport.paused).toBe(true);
      expect(transport.waitingBytes).toBe(0);
      expect(Buffer.concat([rest, stream.subarray(at)]).equals(requests)).toBe(true);
      target.connection.adopt({ ...agreed, volume: target.volume }, reply, rest);
      target.receive(stream.subarray(at));
      target.transport.deliver(1);
      expect(Buffer.concat(target.transport.left).subarray(18).equals(reply)).toBe(true);
      target.transport.takeLeft();
      expect(target.answers().map(({ cookie, errno }) => [cookie, errno])).toEqual([[1, 0], [2, 0]]); // biome-ignore format: pairs
      expect(target.volume.seen).toEqual(['write 512+1024', 'flush 0+0']);
      connection.closed();
      expect(log).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

it('no option is taken while the greeting has not been sent, so that nothing is left to write when the connection goes', () => {
  const { transport, connection, left } = passing(() => [facts]);
  const bytes = Buffer.concat([u32(3), optionBytes(1)]);
  connection.receive(bytes, 0, bytes.length);
  expect(left).toEqual([]);
  expect(transport.paused).toBe(true);
  transport.deliver();
  expect(left).toHaveLength(1);
});

it('input that ends, or a client that goes, ends the connection here; nothing is passed', () => {
  const ending = passing(() => [facts]);
  ending.connection.receive(choice, 0, choice.length - 1);
  ending.connection.inputEnd();
  ending.transport.deliver();
  ending.connection.receive(choice, choice.length - 1, choice.length);
  expect([ending.left, ending.transport.ended]).toEqual([[], true]);
  const going = passing(() => [facts]);
  going.connection.receive(choice, 0, choice.length);
  going.transport.gone = true;
  going.transport.deliver();
  expect([going.left, going.transport.destroyed]).toEqual([[], true]);
});

describe('the handshake about an export of another process', () => {
  it('gives the same answers as for a volume of this process', () => {
    const steps = (exported: NbdExport): (Buffer | null)[] => {
      const shaking = new NbdHandshake({ list: () => [exported] });
      shaking.clientFlags(1);
      const asked = contexts('', ['qemu:dirty-bitmap:monday', 'base:allocation']);
      const options: [number, Buffer][] = [[8, Buffer.alloc(0)], [3, Buffer.alloc(0)], [6, named('', [1, 2, 3])], [9, contexts('', [])], [10, asked], [7, named('', [])], [1, Buffer.alloc(0)]]; // biome-ignore format: pairs
      return options.map(([option, data]) => shaking.option(option, data).reply);
    };
    expect(steps(facts)).toEqual(steps(volume));
  });

  it('keeps the selected contexts and the rule about ranges when the facts have been sent again', () => {
    // Each call returns a new object, because the other process sends its facts again between two options.
    const shaking = new NbdHandshake({ list: () => [structuredClone(facts)] });
    shaking.clientFlags(3);
    shaking.option(8, Buffer.alloc(0));
    shaking.option(10, contexts('', ['qemu:dirty-bitmap:monday']));
    shaking.option(6, named('', [3]));
    const { next } = shaking.option(7, named('', []));
    expect(next).toMatchObject({ volume: facts, isStructured: true, contexts: [{ id: 2, since: 'm' }], mayUseAnyRange: false });
    expect(typeof next === 'object' && isOfThisProcess(next)).toBe(false);
  });
});

it('a connection that is adopted begins with the answer and the requests that came with it', () => {
  const rig = new Rig();
  rig.connection.adopt({ volume: rig.volume, isStructured: false, contexts: [], mayUseAnyRange: false }, Buffer.from('answer'), requests);
  expect(rig.log).toEqual(['serving oracle']);
  rig.transport.deliver(1);
  expect(rig.transport.takeLeft().toString('latin1', 18)).toBe('answer');
  expect(rig.answers().map(({ cookie }) => cookie)).toEqual([1, 2]);
});
