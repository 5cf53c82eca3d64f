// OPENs that fail at the server's storage, or that one node sends twice. Other requests that are valid frames and still wrong are in the
// conformance suite (test/conformance/server). Rules: G8.

import { renameSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { OP } from '@rsio/protocol/wire/frames';
import { OpenRequest } from '@rsio/protocol/wire/messages';
import { statusEntry } from '@rsio/protocol/wire/status';
import { useHosts } from '../support/hosts/hosts.ts';
import type { RawClient, RawFrame } from '../support/peers/raw-peer.ts';
import { Scene } from '../support/scenes/scene.ts';

const hosts = useHosts('file');
let scene: Scene;
let client: RawClient;

beforeAll(async () => {
  scene = await Scene.begin(hosts);
  client = await scene.login();
});

afterAll(() => scene.servesNewcomers());

/** Expects that the path of the wrong request still works. */
afterEach(async () => {
  expect((await client.call({ op: OP.LIST })).handle).toBe(0);
  expect(client.frames.filter(({ op }) => op !== OP.PING)).toEqual([]);
  expect(client.ending).toBeNull();
  await scene.wellBehaved();
});

function open(peer: RawClient, name: string, readonly: boolean): Promise<RawFrame> {
  return peer.call({ op: OP.OPEN, body: OpenRequest.encode({ name, universe: 0, readonly }) });
}

function statusOf(answer: RawFrame): string {
  return statusEntry(answer.handle).name;
}

it('a writer that opens a second handle for reading still keeps readers out', async () => {
  const writer = await client.open('plain');
  const reader = await client.open('plain', true);
  const mars = await scene.login('mars');
  expect(statusOf(await open(mars, 'plain', true))).toBe('HELD');
  mars.close();
  for (const { handle } of [reader, writer]) expect(statusOf(await client.call({ op: OP.CLOSE, handle }))).toBe('OK');
});

it("a second OPEN of a volume whose file was moved away shares the open file, and does not end the first one's hold", async () => {
  const first = await client.open('moving');
  const file = scene.host.file('storage/moving.img');
  renameSync(file, `${file}.away`);
  try {
    const second = await client.open('moving');
    await client.verify(second.handle, 0, 8);
    expect(statusOf(await client.call({ op: OP.CLOSE, handle: second.handle }))).toBe('OK');
  } finally {
    renameSync(`${file}.away`, file);
  }
  const mars = await scene.login('mars');
  expect(statusOf(await open(mars, 'moving', false))).toBe('HELD');
  mars.close();
  await client.verify(first.handle, 0, 8);
  expect(statusOf(await client.call({ op: OP.CLOSE, handle: first.handle }))).toBe('OK');
});
