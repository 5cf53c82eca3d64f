// Tests what a peer can send before its proof: the server ends the connection as it should, and no other client is affected. Tests of
// limits for one address (of connections and of failures) use their own addresses.

import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { handshakeFrame } from '@rsio/protocol/auth/handshake-frames';
import { FAILED_PROOFS_AT_ONCE, HANDSHAKE_MESSAGE_MAX_BYTES, PROOF_TIMEOUT_MS } from '@rsio/protocol/auth/limits';
import { UNPROVEN_PER_ADDRESS_MAX } from '@rsio/rssrv/server/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { useHosts } from '../support/hosts/hosts.ts';
import { asBytes, frameBytes, RawClient } from '../support/peers/raw-peer.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { Scene } from '../support/scenes/scene.ts';

const hosts = useHosts('file');
let scene: Scene;

beforeAll(async () => {
  scene = await Scene.begin(hosts);
});

afterAll(() => scene.servesNewcomers());

afterEach(() => scene.wellBehaved());

const PROOF_SENTENCE = "Server big-9 does not accept this node's proof: check nodename, nodekey and serverkey on both sides";

const origins = new WeakMap<RawClient, string>();

/** Expects that the server closes the connection without a message. */
async function expectDropped(peer: RawClient, reason: RegExp): Promise<void> {
  await peer.ended();
  expect(peer.frames).toEqual([]);
  await logged(peer, reason);
}

/** Waits for a line about the peer's address in the server's log. */
async function logged(peer: RawClient, reason: RegExp): Promise<void> {
  const lines = (): string[] =>
    scene.host
      .log('rssrv')
      .split('\n')
      .filter((line) => line.includes(` ${origins.get(peer)} `));
  await waitFor(() => lines().some((line) => reason.test(line)), 2_000, `The log gives ${reason} as the reason`);
}

async function stranger(identity = scene.identity()): Promise<RawClient> {
  const place = scene.fromElsewhere();
  const peer = await scene.connect(place, identity);
  origins.set(peer, place.from ?? '');
  return peer;
}

describe('bytes that are no handshake', () => {
  it('garbage', async () => {
    const peer = await stranger();
    peer.send(Buffer.alloc(64, 0xee));
    await expectDropped(peer, /op 0xee: no such frame/);
  });

  it('an HTTP request', async () => {
    const peer = await stranger();
    peer.send(Buffer.from('GET / HTTP/1.1\r\nHost: big-9\r\n\r\n'));
    await expectDropped(peer, /op 0x47: no such frame/);
  });

  it('one byte, then the end of the stream', async () => {
    const peer = await stranger();
    peer.socket.end(Buffer.from([OP.HELLO]));
    await expectDropped(peer, /closed the connection before it was proven/);
  });

  it('a frame with the largest permitted body is read; a frame with one byte more is not waited for', async () => {
    const whole = await stranger();
    whole.send(handshakeFrame(OP.HELLO, Buffer.alloc(HANDSHAKE_MESSAGE_MAX_BYTES, 0xc1)));
    await expectDropped(whole, /HELLO: body of 2048 bytes must be one MessagePack map/);
    const over = await stranger();
    over.send(frameBytes({ op: OP.HELLO, length: HANDSHAKE_MESSAGE_MAX_BYTES + 1 }));
    await expectDropped(over, /HELLO: body of 2049 bytes, at most 2048/);
  });

  it('a HELLO that claims four gigabytes', async () => {
    const peer = await stranger();
    peer.send(frameBytes({ op: OP.HELLO, length: 0xffffffff }));
    await expectDropped(peer, /body of 4294967295 bytes, at most 2048/);
  });

  it('a READ, and a WRITE with its body', async () => {
    const reader = await stranger();
    reader.request({ op: OP.READ, handle: 1, seq: 1, count: 1 });
    await expectDropped(reader, /READ does not belong to the handshake/);
    const huge = await stranger();
    // This frame is no message. At the place where a message has its length, it has a number that means 4 GiB.
    huge.request({ op: OP.READ, handle: 1, seq: 1, lba: 0xffffffff0000 });
    await expectDropped(huge, /READ does not belong to the handshake/);
    const writer = await stranger();
    writer.request({ op: OP.WRITE, handle: 1, seq: 1, count: 1, body: Buffer.alloc(512) });
    await expectDropped(writer, /WRITE: body of 512 bytes, at most 0/);
  });

  it('a READ instead of PROOF', async () => {
    const peer = await stranger();
    await peer.greet();
    peer.request({ op: OP.READ, handle: 1, seq: 1, count: 1 });
    await expectDropped(peer, /READ does not belong to the handshake/);
  });

  it('PROOF before HELLO, and HELLO twice', async () => {
    const early = await stranger();
    early.send(handshakeFrame(OP.PROOF, randomBytes(48)));
    await expectDropped(early, /HELLO expected, got PROOF/);
    const twice = await stranger();
    await twice.greet();
    const another = await RawClient.connect(scene.fromElsewhere(), scene.identity());
    twice.send(another.handshake.start());
    await expectDropped(twice, /PROOF expected, got HELLO/);
    another.close();
  });
});

describe('a handshake that fails', () => {
  it('a version that the server does not speak: REFUSE names both', async () => {
    const peer = await stranger(scene.identity('venus', { versions: [9, 7] }));
    peer.send(peer.handshake.start());
    const { code, sentence } = await peer.farewell();
    expect(code).toBe('E_VERSION');
    expect(sentence).toBe('Server big-9 speaks protocol version 1, the client 9, 7: update the older of the two');
    await peer.ended();
  });

  it('another namespaceid: REFUSE names both', async () => {
    const peer = await stranger({ ...scene.identity(), namespaceid: 201 });
    peer.send(peer.handshake.start());
    expect(await peer.farewell()).toEqual({
      code: 'E_NAMESPACE',
      sentence: "Server big-9 serves namespaceid 200, not 201: correct namespaceid or the server's address",
    });
    await peer.ended();
  });

  it('an unknown node and a wrong key look alike to the client; only the log distinguishes them', async () => {
    const unknown = await stranger(scene.identity('nobody'));
    const wrong = await stranger({ ...scene.identity(), nodekey: 'wrong' });
    for (const peer of [unknown, wrong]) {
      await peer.greet();
      peer.prove(null);
      expect(await peer.farewell()).toEqual({ code: 'E_AUTH', sentence: PROOF_SENTENCE });
      await peer.ended();
    }
    await logged(unknown, /unknown node nobody/);
    await logged(wrong, /wrong key for node venus/);
  });

  it('a PROOF recorded on another connection proves nothing', async () => {
    const victim = await stranger();
    await victim.greet();
    const proof = victim.prove(null);
    const thief = await stranger();
    await thief.greet();
    thief.send(proof);
    expect((await thief.farewell()).code).toBe('E_AUTH');
    victim.close();
  });

  it('a replay of a whole client, HELLO and PROOF, proves nothing', async () => {
    const victim = await stranger();
    const hello = victim.handshake.start();
    victim.send(hello);
    victim.handshake.onChallenge(asBytes(await victim.next()));
    const proof = victim.prove(null);
    const thief = await stranger();
    thief.send(hello);
    expect((await thief.next()).op).toBe(OP.CHALLENGE);
    thief.send(proof);
    expect((await thief.farewell()).code).toBe('E_AUTH');
    victim.close();
  });

  it('a join with a wrong secret is refused with the text for a wrong key', async () => {
    const first = await scene.login();
    const peer = await stranger();
    await peer.greet();
    peer.prove({ session: first.welcome.session, secret: Buffer.alloc(32) });
    expect(await peer.farewell()).toEqual({ code: 'E_AUTH', sentence: PROOF_SENTENCE });
    await logged(peer, /node venus does not know the secret of the session/);
    await first.call({ op: OP.LIST });
    first.close();
  });

  it("a join of another node's session finds no such session, whether or not that session exists", async () => {
    const venus = await scene.login('venus');
    for (const session of [venus.session, { session: randomBytes(16), secret: venus.session.secret }]) {
      const mars = await stranger(scene.identity('mars'));
      await mars.greet();
      mars.prove(session);
      expect(await mars.farewell()).toEqual({ code: 'E_NO_SESSION', sentence: 'Server big-9 has no such session: begin a new one' });
    }
    await venus.call({ op: OP.LIST });
    venus.close();
  });

  it('an older instance of the node is refused, and so is another machine while the first one is alive', async () => {
    const old = await stranger(scene.identity('mars', { instance: 3 }));
    await old.greet();
    old.prove(null);
    await old.welcomedBy(null);
    const older = await stranger(scene.identity('mars', { instance: 2 }));
    await older.greet();
    older.prove(null);
    expect((await older.farewell()).code).toBe('E_REPLACED');
    const elsewhere = await stranger(scene.identity('mars', { instance: 3, machine: 'another-machine' }));
    await elsewhere.greet();
    elsewhere.prove(null);
    const { code, sentence } = await elsewhere.farewell();
    expect(code).toBe('E_OTHER_MACHINE');
    expect(sentence).toContain(`Node mars is in use from ${origins.get(old)}`);
    await old.call({ op: OP.LIST });
    old.close();
  });

  it('a byte between HELLO and CHALLENGE, or after PROOF, closes the connection before WELCOME', async () => {
    const early = await stranger();
    early.send(early.handshake.start(), Buffer.from([0]));
    early.handshake.onChallenge(asBytes(await early.next()));
    early.prove(null);
    await expectDropped(early, /no such frame|expected/);
    for (const extra of [Buffer.from([OP.READ]), frameBytes({ op: OP.LIST, seq: 1 })]) {
      const peer = await stranger();
      await peer.greet();
      peer.send(peer.handshake.proof(null, []), extra);
      await expectDropped(peer, /before it was welcomed/);
    }
  });

  it('a client may reset or close the connection right after its PROOF, even if no process is ready for it', async () => {
    for (let time = 0; time < 30; time++) {
      const peer = await stranger(scene.identity('mars', { instance: 3 }));
      await peer.greet();
      peer.prove(null);
      await new Promise((resolve) => peer.socket.write('', resolve));
      if (time % 3 === 0) peer.reset();
      else if (time % 3 === 1) peer.close();
      else peer.socket.end();
      // The wait varies, so that sometimes the last session has just ended and the process of the next session is starting.
      await new Promise((resolve) => setTimeout(resolve, (time * 7) % 60));
    }
  });
});

describe('too many, too often, too slow', () => {
  it('a silent peer, and one that sends only HELLO, are closed after PROOF_TIMEOUT_MS', async () => {
    // The time is taken before sending, because the server may receive the bytes before this process continues.
    const startMs = performance.now();
    const silent = await stranger();
    const halfway = await stranger();
    await halfway.greet();
    const reason = /did not prove itself within 5000 ms/;
    await Promise.all([silent.ended(PROOF_TIMEOUT_MS + 30_000), halfway.ended(PROOF_TIMEOUT_MS + 30_000)]);
    expect(performance.now() - startMs).toBeGreaterThan(PROOF_TIMEOUT_MS - 500);
    await expectDropped(silent, reason);
    await expectDropped(halfway, reason);
  });

  it('the 17th unproven connection of an address closes the oldest one with a reason; other addresses are not affected', async () => {
    const place = scene.fromElsewhere();
    const elsewhere = await stranger();
    const waiting: RawClient[] = [];
    for (let count = 0; count < UNPROVEN_PER_ADDRESS_MAX; count++) waiting.push(await scene.connect(place));
    await waiting[UNPROVEN_PER_ADDRESS_MAX - 1]!.greet();
    const over = await scene.connect(place);
    expect((await waiting[0]!.farewell()).code).toBe('E_LIMIT');
    await waiting[0]!.ended();
    await over.greet();
    await waiting[1]!.greet();
    await elsewhere.greet();
    for (const peer of [...waiting, over, elsewhere]) peer.close();
  });

  it('40 idle sockets of an address, opened again and again, do not lock out a client behind it', async () => {
    const place = scene.fromElsewhere();
    for (let round = 0; round < 3; round++) {
      const idle = await Promise.all(Array.from({ length: 40 }, () => scene.connect(place)));
      const peer = await RawClient.begin(place, scene.identity());
      await peer.call({ op: OP.LIST });
      for (const one of [...idle, peer]) one.close();
    }
  });

  it('after FAILED_PROOFS_AT_ONCE failures only this node waits on this address; other nodes, addresses and joins do not', async () => {
    const place = scene.fromElsewhere();
    const living = await RawClient.begin(place, scene.identity());
    const wrong = { ...scene.identity(), nodekey: 'wrong' };
    for (let count = 0; count < FAILED_PROOFS_AT_ONCE; count++) {
      const peer = await scene.connect(place, wrong);
      await peer.greet();
      peer.prove(null);
      expect((await peer.farewell()).code).toBe('E_AUTH');
    }
    const right = await scene.connect(place);
    await right.greet();
    right.prove(null);
    const { code, sentence } = await right.farewell();
    expect(code).toBe('E_LIMIT');
    expect(sentence).toMatch(/^Server big-9 has received too many wrong proofs of node venus from this address: try again in [1-3] s$/);
    await right.ended();
    const path = await RawClient.login(place, living.identity, living);
    await path.call({ op: OP.LIST });
    const neighbour = await RawClient.begin(place, scene.identity('mars', { instance: 3 }));
    await neighbour.call({ op: OP.LIST });
    for (const peer of [path, neighbour, living]) peer.close();
    const elsewhere = await RawClient.begin(scene.fromElsewhere(), scene.identity());
    elsewhere.close();
  });

  it('successful proofs and connections closed early never count as failures', async () => {
    const place = scene.fromElsewhere();
    for (let count = 0; count <= FAILED_PROOFS_AT_ONCE; count++) {
      const peer = await RawClient.login(place, scene.identity());
      peer.close();
      const garbage = await scene.connect(place);
      garbage.send(Buffer.alloc(16, 0xff));
      await garbage.ended();
    }
    const last = await RawClient.login(place, scene.identity());
    await last.call({ op: OP.LIST });
    last.close();
  });

  it('1,000 connections that open and close', async () => {
    const place = scene.fromElsewhere();
    for (let round = 0; round < 20; round++) {
      const peers = await Promise.all(Array.from({ length: 50 }, () => scene.connect(place)));
      for (const [index, peer] of peers.entries()) {
        if (index % 3 === 0) peer.reset();
        else if (index % 3 === 1) peer.close();
        else peer.socket.end(Buffer.from([1, 2, 3]));
      }
    }
    await waitFor(
      async () => {
        const peer = await scene.connect(place);
        await peer.greet();
        peer.close();
        return true;
      },
      5_000,
      'The address is let in again',
    );
  });
});
