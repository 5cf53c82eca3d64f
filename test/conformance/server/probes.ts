// Probe connections: the listener serves them itself, and each frame that is not part of a measurement makes it reset the connection.
// Invariant: the probes log in as a node that also has a session, and no case affects this session.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { PROBE_SLOTS, PROBE_TIME_MAX_MS, PROBE_WINDOW_BYTES } from '@rsio/protocol/explorer/limits';
import { SEGMENT_BYTES } from '@rsio/protocol/link/limits';
import { PROBE_CONNECTIONS_MAX } from '@rsio/rssrv/session/limits';
import { FEATURE } from '@rsio/protocol/wire/features';
import { FLAG, OP } from '@rsio/protocol/wire/frames';
import { Farewell, Ping, OpenRequest } from '@rsio/protocol/wire/messages';
import { RawClient, type RawRequest } from '../../support/peers/raw-peer.ts';
import { waitFor } from '../../support/programs/wait-for.ts';
import { type ServerCase, serverCase } from '../base/case.ts';
import { answered, byes, closed, equals, refused, refusedWith, sameBytes } from '../base/check.ts';
import { filled, type Target } from '../base/target.ts';

const SECTION = 'Probe connections';
const SEGMENT_SECTORS = SEGMENT_BYTES / SECTOR_BYTES;
const PING = { op: OP.PING, body: Ping.encode({ number: 1, clockMs: 7, heard: 0, oldestMs: 0, generation: 0 }) };

async function probe(target: Target, more: readonly string[] = []): Promise<RawClient> {
  const identity = target.identity(0, { features: [...more, FEATURE.PROBE], machine: 'a-tool', instance: 0 });
  return target.keep(await RawClient.login(target.place(), identity));
}

function resets(id: string, expects: string, request: RawRequest): ServerCase {
  const run = async (target: Target): Promise<void> => {
    const client = await probe(target);
    client.request({ slot: 1, seq: 1, ...request });
    await closed(client);
    equals('How it ended', client.ending, 'reset');
  };
  return serverCase(`probe.reset.${id}`, SECTION, `${expects} resets a probe`, run);
}

export const PROBE_CASES: readonly ServerCase[] = [
  serverCase('probe.welcome', SECTION, 'WELCOME of a probe has a session of zeros, path 0, 16 slots and 4 MiB', async (target) => {
    const { welcome } = await probe(target);
    equals('Whether the session is zeros', Buffer.alloc(16).equals(welcome.session), true);
    equals('path, slots, window', [welcome.path, welcome.slots, welcome.windowBytes], [0, PROBE_SLOTS, PROBE_WINDOW_BYTES]);
  }),
  serverCase('probe.only-offered', SECTION, 'A client that does not offer the feature gets no probe', async (target) => {
    equals('The features', (await (await target.connectUnproven()).greet()).features, []);
  }),
  serverCase('probe.ping', SECTION, 'PING on a probe is answered at once, with number and clock', async (target) => {
    const client = await probe(target);
    client.request(PING);
    const { body } = await client.next(({ op }) => op === OP.PONG);
    const { number, clockMs, heard } = Ping.decode(body, 0, body.length);
    equals('number, clockMs, heard', [number, clockMs, heard], [1, 7, 1]);
  }),
  serverCase('probe.read', SECTION, 'READ on a probe gives zeros, from any lba', async (target) => {
    const client = await probe(target);
    for (const [lba, count] of [
      [0, 1],
      [2 ** 47, SEGMENT_SECTORS],
    ] as const) {
      sameBytes('What was read', (await answered(client, { op: OP.READ, lba, count })).body, filled(count, 0));
    }
  }),
  serverCase('probe.write', SECTION, 'WRITE on a probe is answered OK and its data is dropped', async (target) => {
    const client = await probe(target);
    await answered(client, { op: OP.WRITE, count: SEGMENT_SECTORS, body: filled(SEGMENT_SECTORS, 5) });
    sameBytes('What is read', (await answered(client, { op: OP.READ, count: 8 })).body, filled(8, 0));
  }),
  serverCase('probe.slots', SECTION, 'READs in all 16 slots at once are all answered', async (target) => {
    const client = await probe(target);
    const slots = Array.from({ length: PROBE_SLOTS }, (_, slot) => slot);
    client.request(...slots.map((slot) => ({ op: OP.READ, slot, seq: 1, count: SEGMENT_SECTORS })));
    for (const slot of slots) equals('Bytes', (await client.answer(slot)).body.length, SEGMENT_BYTES);
  }),
  serverCase('probe.digest', SECTION, 'A probe may have CRC-32s too', async (target) => {
    const client = await probe(target, [FEATURE.DIGEST]);
    equals('Whether digest was agreed', client.digest, true);
    await answered(client, { op: OP.WRITE, count: 8, body: filled(8, 5) });
    await answered(client, { op: OP.READ, count: 8 });
  }),
  resets('list', 'LIST', { op: OP.LIST }),
  resets('open', 'OPEN', { op: OP.OPEN, body: OpenRequest.encode({ name: 'x', universe: 0, readonly: true }) }),
  resets('flush', 'FLUSH', { op: OP.FLUSH }),
  resets('fence', 'FENCE', { op: OP.FENCE, aux: 1, slot: 0, seq: 0 }),
  resets('handle', 'A handle that is not 0', { op: OP.READ, handle: 1, count: 1 }),
  resets('flags', 'A flag', { op: OP.READ, flags: FLAG.FUA, count: 1 }),
  resets('no-sectors', 'READ of no sectors', { op: OP.READ }),
  resets('large-read', 'READ of 513 sectors', { op: OP.READ, count: SEGMENT_SECTORS + 1 }),
  resets('large-write', 'WRITE of 513 sectors', { op: OP.WRITE, count: SEGMENT_SECTORS + 1 }),
  resets('slot', 'Slot 16', { op: OP.READ, slot: PROBE_SLOTS, count: 1 }),
  serverCase('probe.join', SECTION, 'A PROOF that joins a session on such a connection is refused with E_PROTOCOL', async (target) => {
    const first = await target.first();
    const identity = target.identity(0, { features: [FEATURE.PROBE] });
    const peer = await target.connectUnproven(identity);
    await peer.greet();
    peer.prove(first.session);
    await refused(peer, 'E_PROTOCOL');
  }),
  serverCase(
    'probe.wrong-key',
    SECTION,
    'A probe with a wrong key is refused with E_AUTH',
    async (target) => {
      const identity = target.identity(0, { features: [FEATURE.PROBE] });
      await refusedWith('E_AUTH', RawClient.login(target.place(), { ...identity, nodekey: '0xanother-secret-of-somebody' }));
    },
    { needs: ['addresses'] },
  ),
  serverCase('probe.session-stays', SECTION, "A probe ends neither the node's session nor its hold", async (target) => {
    const handle = await target.handle();
    const path = await target.path();
    const client = await probe(target);
    await answered(client, { op: OP.READ, count: 1 });
    client.request({ op: OP.BYE, body: Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'Measured' }) });
    await closed(client);
    await answered(path, { op: OP.READ, handle, count: 8 });
  }),
  serverCase(
    'probe.time',
    SECTION,
    'A probe gets BYE E_LIMIT 10 s after WELCOME',
    async (target) => {
      const startMs = performance.now();
      const client = await probe(target);
      const bye = await client.next(({ op }) => op === OP.BYE, PROBE_TIME_MAX_MS + 30_000);
      equals('Frames besides it', client.frames.length, 0);
      equals('Whether it came too early', performance.now() - startMs < PROBE_TIME_MAX_MS - 1_000, false);
      client.frames.push(bye);
      await byes(client, 'E_LIMIT');
    },
    { isPatient: true },
  ),
  serverCase(
    'probe.most',
    SECTION,
    'A fifth probe at the same time is refused with E_LIMIT, and admitted after one has ended',
    async (target) => {
      const probes: RawClient[] = [];
      // Meanwhile, another case of the suite may keep one probe open until the server ends it.
      const last = await fill(target, probes);
      equals('The refusal', last, 'E_LIMIT');
      probes[0]?.close();
      await waitFor(() => probe(target).then(() => true), 10_000, 'There is room again');
    },
  ),
];

/** Begins probes until one is refused; returns the code of the refusal. */
async function fill(target: Target, probes: RawClient[]): Promise<string> {
  while (probes.length <= PROBE_CONNECTIONS_MAX) {
    try {
      probes.push(await probe(target));
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : String(error);
    }
  }
  return `none for ${probes.length} probes`;
}
