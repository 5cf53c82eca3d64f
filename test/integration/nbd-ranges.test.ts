// NBD clients of real daemons use arbitrary byte ranges within the same blocks at the same time. The replay log of a volume that is never
// flushed is also tested. partial-blocks.test.ts and log-total.test.ts test the rules without processes.

import { expect, it } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const MIB = 1 << 20;
const TEST_MS = 300_000;
const CONNECTIONS = 4;
const ROUNDS = 60;
/** Not a multiple of any block size. */
const PIECE_BYTES = 1000;
/** The log must be empty within this time. rsiod flushes when the oldest entry of the log is 4 s old. */
const TRIMMED_MS = 10_000;

const hosts = useHosts();

it(
  'four connections write bytes of the same 4096-byte blocks: none is lost, and the replay log empties itself within its total',
  async () => {
    const [host, network] = [hosts.host(), await hosts.network(2)];
    await startServer(host, network, { volumes: { oracle: { path: host.file('oracle.img'), size: '64m', blocksize: '4096' } } });
    await startClient(host, network, { defaults: { 'log-total': '1m' } });
    await host.rsconfigWell('-a', 'oracle');
    const open = (): Promise<NbdIo> => NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/oracle');
    const connections = await Promise.all(Array.from({ length: CONNECTIONS }, open));
    hosts.onClean(() => connections.forEach((nbd) => nbd.close()));
    const expected = Buffer.alloc(CONNECTIONS * ROUNDS * PIECE_BYTES);
    await Promise.all(
      connections.map(async (nbd, own) => {
        for (let round = 0; round < ROUNDS; round++) {
          const at = (round * CONNECTIONS + own) * PIECE_BYTES;
          const data = Buffer.alloc(PIECE_BYTES, 1 + ((round * 7 + own) % 250));
          data.copy(expected, at);
          await nbd.write(at, data);
        }
      }),
    );
    const [first] = connections;
    expect((await first!.read(0, expected.length)).equals(expected)).toBe(true);
    // The writes have eight times the size of all logs together.
    const large = Buffer.alloc(MIB, 0x5a);
    for (let mib = 1; mib <= 8; mib++) await first!.write(mib * MIB + 1, large);
    const log = async () => (await host.call('status', {})).logs[0];
    expect((await log())?.usedBytes).toBeLessThanOrEqual(MIB);
    expect((await first!.read(8 * MIB + 1, MIB)).equals(large)).toBe(true);
    await first!.write(40 * MIB, Buffer.alloc(4096, 7));
    await waitFor(async () => (await log())?.dataBytes === 0, TRIMMED_MS, 'The log is flushed by itself');
  },
  TEST_MS,
);

it(
  'two connections write bytes of a block and a third the whole block: no write around the bytes is lost',
  async () => {
    const [host, network] = [hosts.host(), await hosts.network(2)];
    await startServer(host, network, { volumes: { oracle: { path: host.file('oracle.img'), size: '4m', blocksize: '4096' } } });
    await startClient(host, network, {});
    await host.rsconfigWell('-a', 'oracle');
    const open = (): Promise<NbdIo> => NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/oracle');
    const [low, whole, high] = [await open(), await open(), await open()];
    hosts.onClean(() => [low, whole, high].forEach((nbd) => nbd.close()));
    const BLOCK = 4096;
    const [LOW_FILL, WHOLE_FILL, HIGH_FILL] = [11, 22, 33];
    const begun = { low: 100, high: 3000 };
    for (let round = 0; round < 4 * ROUNDS; round++) {
      const at = (round % 64) * BLOCK;
      await whole.write(at, Buffer.alloc(BLOCK, 1));
      const writes = [
        () => low.write(at + begun.low, Buffer.alloc(PIECE_BYTES, LOW_FILL)),
        () => whole.write(at, Buffer.alloc(BLOCK, WHOLE_FILL)),
        () => high.write(at + begun.high, Buffer.alloc(PIECE_BYTES, HIGH_FILL)),
      ];
      await Promise.all([...writes.slice(round % 3), ...writes.slice(0, round % 3)].map((write) => write()));
      const block = await low.read(at, BLOCK);
      for (const [begin, fill] of [
        [begun.low, LOW_FILL],
        [begun.high, HIGH_FILL],
      ] as const) {
        const piece = block.subarray(begin, begin + PIECE_BYTES);
        expect([fill, WHOLE_FILL], `bytes of block ${at / BLOCK} at ${begin}`).toContain(piece[0]);
        expect(piece.every((byte) => byte === piece[0])).toBe(true);
        piece.fill(WHOLE_FILL);
      }
      expect(
        block.every((byte) => byte === WHOLE_FILL),
        `the rest of block ${at / BLOCK}`,
      ).toBe(true);
    }
  },
  TEST_MS,
);
