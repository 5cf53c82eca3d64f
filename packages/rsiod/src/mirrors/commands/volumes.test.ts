// Tests which clients the volume of a new replica gets. A server with `tenants` gives it to this client alone, and the other clients of the
// mirror must not be locked out of it. new-server.ts and creation.ts say which replica it is like. Rules: A1.

import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { volume } from '@rsio/api/testing/server-views';
import type { ManagedVolumeView } from '@rsio/api/views/views';
import type { MirrorServer } from './mirror-server.ts';
import { makeVolume, type MadeVolumes, removeVolume, setAside } from './volumes.ts';

const WANTED = { name: 'db', universe: 0, sizeBytes: 4_096, blockSizeBytes: 512, pool: null, request: 'r' };
const LIKE = { name: 'db', universe: 0 };

function serverWith(view: Partial<ManagedVolumeView>) {
  const calls: [string, object][] = [];
  const callAdmin = async (method: string, params: object): Promise<unknown> => {
    calls.push([method, params]);
    return { volume: volume(view) };
  };
  return { server: { name: 'big-8', callAdmin } as unknown as MirrorServer, calls };
}

/** Returns the settings that the new volume gets; null if it gets none. */
async function settingsOf(created: Partial<ManagedVolumeView>, other: Partial<ManagedVolumeView> | null): Promise<unknown> {
  const made: MadeVolumes = new Map();
  const { server, calls } = serverWith(created);
  await makeVolume(WANTED, server, made, other === null ? null : { server: serverWith(other).server, volume: LIKE });
  const [, set = null] = calls;
  return set === null ? null : (set[1] as { settings: unknown }).settings;
}

const ALONE = { clients: ['big-2'], takeOver: ['big-2'], owner: 'big-2' };

test('the first replicas belong to the client that makes them', async () => {
  expect(await settingsOf(ALONE, null)).toBeNull();
});

test('a server without tenants lets all clients attach the new replica, as before', async () => {
  expect(await settingsOf({ clients: null, takeOver: null }, { ...ALONE, path: null })).toBeNull();
});

test('a further replica has the clients and the managers of the others, and their owner remains one', async () => {
  const shared = { clients: ['big-2', 'big-6'], takeOver: null, owner: 'big-2', managers: ['big-6'], path: null, isOwn: true };
  expect(await settingsOf({ ...ALONE, clients: ['big-6'] }, shared)).toEqual([
    'clients=big-2,big-6',
    'take-over=yes',
    'managers=big-6,big-2',
  ]);
  const forAll = { clients: null, takeOver: null, owner: null, path: null, isOwn: false };
  expect(await settingsOf(ALONE, forAll)).toEqual(['clients=all', 'take-over=yes', 'managers=no']);
});

test('a client that does not see all clients of the others makes no replica', async () => {
  const other = { clients: ['big-6'], takeOver: [], owner: null, path: null, isOwn: false };
  await expect(settingsOf(ALONE, other)).rejects.toThrow(
    /: The replica on server big-8 belongs to others.*managers=A,B .*rsadm volume set db on each/,
  );
});

test('a former replica that keeps its name, and a volume that is not removed, have commands that work while the mirror is attached', async () => {
  const refuses = { name: 'big-8', callAdmin: () => Promise.reject(new RsError('E_USAGE', 'It is a replica')) } as unknown as MirrorServer;
  const db = { namespace: 'osl', name: 'db', universe: 0 };
  const onServer = 'on it, rsadm volume remove db removes it, after rsadm volume split db if it is still a replica';
  const { said, isSetAside } = await setAside(refuses, db, () => 'id');
  expect([isSetAside, said]).toEqual([
    false,
    `server big-8 offers volume osl:db@0, which has the name of the mirror and is out of date (It is a replica): ${onServer}`,
  ]);
  const { left } = await removeVolume(refuses, { ...db, universe: 3 }, 'removed', () => 'id');
  expect(left).toContain(`while the mirror is attached, ${onServer.replaceAll(' db ', ' db@3 ')}`);
});
