// Many clients that disconnect or stay idle before or just after their proof: no other client is affected, even if it connects from the
// same address. The cases in test/conformance/server/handshake/ cover the effect of each wrong frame before the proof. Rules: G9.

import { afterAll, afterEach, beforeAll, it } from 'vitest';
import { OP } from '@rsio/protocol/wire/frames';
import { useHosts } from '../support/hosts/hosts.ts';
import { RawClient } from '../support/peers/raw-peer.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { Scene } from '../support/scenes/scene.ts';

const hosts = useHosts('file');
let scene: Scene;

beforeAll(async () => {
  scene = await Scene.begin(hosts);
});

afterAll(() => scene.servesNewcomers());

afterEach(() => scene.wellBehaved());

it('a client may reset or close the connection right after its PROOF, even if no process is ready for it', async () => {
  for (let time = 0; time < 30; time++) {
    const peer = await scene.connect(scene.fromElsewhere(), scene.identity('mars', { instance: 3 }));
    await peer.greet();
    peer.prove(null);
    await new Promise((resolve) => peer.socket.write('', resolve));
    if (time % 3 === 0) peer.reset();
    else if (time % 3 === 1) peer.close();
    else peer.socket.end();
    // The wait varies, so that sometimes the previous session has just ended and the process of the next session is starting.
    await new Promise((resolve) => setTimeout(resolve, (time * 7) % 60));
  }
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
