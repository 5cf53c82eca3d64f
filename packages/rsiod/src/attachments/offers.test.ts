// The meaning of volume names, and the choice of the server from which a volume is attached. Properties: two clients that see the same
// servers choose the same server; if a client holds a volume at one server, no client chooses another server. Both properties hold after
// the lists of offers have been rebuilt. Rules: G31, N11 in docs/GUARANTEES.md.

import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { Namespace } from '../network/namespace.ts';
import { chooseToAttach, chooseVolume, distinctVolumes, type HeldOffer, OfferList, serverFor, volumesOf } from './offers.ts';

const SINCE_MS = Date.UTC(2026, 8, 14, 15, 2, 32);
const NODE = 'big-2';

function offer(server: string, changes: Partial<HeldOffer> = {}): HeldOffer {
  const serverid = Number(server.split('-')[1]);
  return {
    namespace: 'osl',
    server,
    serverid,
    isConnected: true,
    name: 'oracle',
    universe: 0,
    id: 'one',
    readonly: false,
    holders: [],
    mirror: null,
    poolGeneration: null,
    poolId: null,
    ...changes,
  };
}

function holder(node: string): HeldOffer['holders'][number] {
  return { node, address: `address of ${node}`, sinceMs: SINCE_MS };
}

/** Copies the offers, because a second query to the servers returns new objects with the same content. */
function lookedAtAgain(offers: readonly HeldOffer[]): HeldOffer[] {
  return offers.map((one) => ({ ...one }));
}

function ask(offers: readonly HeldOffer[], server: string | null = null, name = 'osl:oracle@0'): string {
  return serverFor(chooseVolume(offers, name, server), lookedAtAgain(offers), NODE, 0).server;
}

describe('a name', () => {
  const offers = [offer('big-9'), offer('big-5'), offer('mini-1', { namespace: 'dev', id: 'three' })];

  test('means one volume if two servers offer that volume', () => {
    expect(distinctVolumes(offers).map(({ label, offers: of }) => [label, of.length])).toEqual([
      ['osl:oracle@0', 2],
      ['dev:oracle@0', 1],
    ]);
    expect(chooseVolume(offers, 'osl:oracle', null).offers).toHaveLength(2);
  });

  test('that two volumes have is refused, naming both with their servers', () => {
    expect(() => chooseVolume(offers, 'oracle', null)).toThrow(
      'oracle means more than one volume: osl:oracle@0 (server big-9, big-5), dev:oracle@0 (server mini-1): name one of them, or choose with --server',
    );
    const two = [offer('big-9'), offer('big-5', { id: 'two' })];
    expect(() => chooseVolume(two, 'osl:oracle@0', null)).toThrow('osl:oracle@0 (server big-9), osl:oracle@0 (server big-5)');
    expect(chooseVolume(two, 'oracle', 'big-5').offers).toEqual([two[1]]);
  });

  test('that a follower has too means the volume that can be opened, and a follower alone is named', () => {
    const follower = offer('big-5', { id: 'two', follows: 'big-9' });
    expect(chooseVolume([follower, offer('big-9')], 'oracle', null).offers[0]?.server).toBe('big-9');
    expect(chooseToAttach([offer('big-9'), follower], 'oracle@monday', 'big-5').offers[0]?.server).toBe('big-5');
    expect(chooseVolume([follower], 'oracle', null).offers).toEqual([follower]);
    expect(volumesOf([follower, offer('big-9')], null).map(({ offers: [first] }) => first?.server)).toEqual(['big-9']);
    const third = offer('big-7', { id: 'three' });
    expect(() => chooseVolume([follower, offer('big-9'), third], 'oracle', null)).toThrow('or choose with --server');
    const handedOver = offer('big-9', { follows: 'big-5' });
    expect(() => chooseVolume([follower, handedOver], 'oracle', null)).toThrow('none can be attached now');
  });

  test('without a universe means the volume in universe 0, and never another one, also while it is missing', () => {
    const image = offer('big-9', { universe: 1, id: 'image' });
    const other = offer('big-9', { universe: 2, id: 'other' });
    for (const name of ['oracle', 'osl:oracle'])
      expect(chooseVolume([image, offer('big-9'), other], name, null).label).toBe('osl:oracle@0');
    expect(chooseToAttach([image, offer('big-9')], 'oracle@monday', null).label).toBe('osl:oracle@0@monday');
    expect(chooseVolume([image, offer('big-9')], 'oracle@1', null).label).toBe('osl:oracle@1');
    const hint = 'has the name in another universe, give it with @ if you mean it; rsconfig -q lists the volumes';
    for (const name of ['oracle', 'osl:oracle'])
      expect(() => chooseVolume([image], name, null)).toThrow(
        `No server in reach offers a volume ${name} in universe 0: osl:oracle@1 (server big-9) ${hint}`,
      );
    expect(() => chooseToAttach([image], 'oracle@monday', null)).toThrow('offers a volume oracle in universe 0');
    expect(() => chooseVolume([image, other], 'oracle', null)).toThrow(`osl:oracle@1 (server big-9), osl:oracle@2 (server big-9) ${hint}`);
    expect(() => chooseVolume([image], 'oracle@2', 'big-9')).toThrow(
      `Server big-9 offers no volume oracle@2: osl:oracle@1 (server big-9) ${hint}`,
    );
    expect(chooseVolume([image, offer('mini-1', { namespace: 'dev' })], 'oracle', null).label).toBe('dev:oracle@0');
  });

  test('of attached volumes is refused as ambiguous without naming servers, which do not matter there', () => {
    const attached = offers.map((one) => ({ ...one, server: '' }));
    expect(() => chooseVolume(attached.slice(1), 'oracle', null)).toThrow(
      /^oracle means more than one volume: osl:oracle@0, dev:oracle@0: name one of them$/,
    );
  });

  test('of a server that offers nothing is refused, also if all its volumes are requested', () => {
    expect(() => chooseVolume(offers, 'oracle', 'big-7')).toThrow('Server big-7 offers no volume oracle');
    expect(() => volumesOf(offers, 'big-7')).toThrow('No connected server big-7 offers a volume');
    expect(volumesOf(offers, 'mini-1').map(({ label }) => label)).toEqual(['dev:oracle@0']);
    expect(volumesOf([], null)).toEqual([]);
  });
});

describe('a volume that two servers offer', () => {
  test('is attached from the connected server with the lowest serverid, whatever the order in the file', () => {
    expect(ask([offer('big-9'), offer('big-5')])).toBe('big-5');
    expect(ask([offer('big-5'), offer('big-9')])).toBe('big-5');
    expect(ask([offer('big-9'), offer('big-5', { isConnected: false })])).toBe('big-9');
    expect(ask([offer('big-9'), offer('big-5')], 'big-9')).toBe('big-9');
  });

  test('is attached from the server where another client holds it, and that server decides about the hold', () => {
    expect(ask([offer('big-9', { holders: [holder('venus')] }), offer('big-5')])).toBe('big-9');
    expect(ask([offer('big-9', { holders: [holder(NODE)] }), offer('big-5')])).toBe('big-9');
    expect(ask([offer('big-9', { holders: [holder('venus')] }), offer('big-5', { holders: [holder(NODE)] })])).toBe('big-9');
  });

  test('is attached from no other server if that one is chosen or unreachable', () => {
    const held = offer('big-9', { holders: [holder('venus')] });
    expect(() => ask([held, offer('big-5')], 'big-5')).toThrow(
      'osl:oracle@0 is held by venus at address of venus since 2026_09_14-15:02:32 (GMT) through server big-9: attach it from there',
    );
    expect(() => ask([{ ...held, isConnected: false }, offer('big-5')])).toThrow('through server big-9, which is not in reach: rsconfig');
    const own = offer('big-9', { holders: [holder(NODE)], isConnected: false });
    expect(() => ask([own, offer('big-5')])).toThrow('which is not in reach');
  });

  test('is recognised if a server calls it by another name', () => {
    const other = offer('big-9', { name: 'ora', holders: [holder('venus')] });
    expect(() => ask([other, offer('big-5')], null, 'oracle')).toThrow('osl:oracle@0, which is osl:ora@0 there too, is held by venus');
  });

  test('is attached from any server if it is read-only or of another namespace', () => {
    const readers = { readonly: true, holders: [holder('venus')] };
    expect(ask([offer('big-9', readers), offer('big-5', { readonly: true })])).toBe('big-5');
    expect(ask([offer('mini-1', { namespace: 'dev', holders: [holder('venus')] }), offer('big-5')])).toBe('big-5');
  });

  test('in a shared pool is attached from the owner of the pool, whatever other servers say about its holders', () => {
    const stale = offer('big-5', { poolGeneration: 16, holders: [holder('venus')] });
    expect(ask([stale, offer('big-9', { poolGeneration: 17 })])).toBe('big-9');
    expect(ask([stale, offer('big-9', { poolGeneration: 17, isConnected: false })])).toBe('big-5');
    const snapshot = chooseToAttach([stale, offer('big-9', { poolGeneration: 17 })], 'oracle@monday', null);
    expect(serverFor(snapshot, [stale, offer('big-9', { poolGeneration: 17 })], NODE, 0).server).toBe('big-9');
  });

  test('in a shared pool is not attached from a server that does not own the pool, even if that server is chosen', () => {
    const [old, owner] = [offer('big-5', { poolGeneration: 16 }), offer('big-9', { poolGeneration: 17, name: 'db' })];
    const sentence =
      'Server big-9 serves osl:oracle@0 as osl:db@0, because it owns the pool of the volume (generation 17): attach it from there';
    expect(() => ask([old, owner], 'big-5')).toThrow(expect.objectContaining({ code: 'E_MOVED', message: sentence }));
  });

  test('is not attached if no server that offers it is reachable', () => {
    const away = { isConnected: false };
    expect(() => ask([offer('big-9', away)])).toThrow('No path to server big-9, which offers osl:oracle@0: rsconfig');
    expect(() => ask([offer('big-9', away), offer('big-5', away)])).toThrow('No path to any of the servers big-9, big-5, which offer osl:');
  });

  test("is attached from one server by all clients with the same view, and never beside another client's hold", () => {
    const holders = fc.subarray([holder('venus'), holder('big-6'), holder(NODE)], { maxLength: 1 });
    const offers = fc
      .array(fc.record({ isConnected: fc.boolean(), holders }), { minLength: 1, maxLength: 4 })
      .map((list) => list.map((one, index) => offer(`big-${index}`, one)));
    fc.assert(
      fc.property(offers, fc.infiniteStream(fc.nat()), (list, chance) => {
        const order = new Map(list.map((one) => [one, chance.next().value]));
        const shuffled = list.toSorted((left, right) => (order.get(left) ?? 0) - (order.get(right) ?? 0));
        const outcome = (from: readonly HeldOffer[]): HeldOffer | null => {
          try {
            return serverFor(chooseVolume(from, 'oracle', null), lookedAtAgain(from), NODE, 0);
          } catch {
            return null;
          }
        };
        const [here, there] = [outcome(list), outcome(shuffled)];
        const foreign = list.filter((one) => one.holders.some(({ node }) => node !== NODE));
        if (list.every((one) => one.holders.length === 0)) expect(here).toBe(there);
        for (const one of [here, there]) {
          if (one === null) continue;
          expect(one.isConnected).toBe(true);
          if (foreign.length > 0) expect(foreign).toContain(one);
          else if (list.some((other) => other.holders.length > 0)) expect(one.holders.length).toBeGreaterThan(0);
        }
      }),
    );
  });
});

it('the list of offers stays the same object until an offer changes', () => {
  const server = {
    name: 'big-9',
    serverid: 1,
    isConnected: true,
    volumes: [{ name: 'oracle', universe: 0, id: 'a', readonly: false, holders: [] }],
  };
  const namespace = { config: { name: 'osl' }, orderedServers: [server] } as unknown as Namespace;
  const namespaces = { list: [namespace] };
  const offers = new OfferList(namespaces);
  const first = offers.list;
  expect(first).toMatchObject([{ namespace: 'osl', server: 'big-9', name: 'oracle', isConnected: true }]);
  expect(offers.list).toBe(first);
  server.isConnected = false;
  expect(offers.list).toMatchObject([{ isConnected: false }]);
  server.volumes = [...server.volumes, { name: 'data', universe: 0, id: 'b', readonly: false, holders: [] }];
  expect(offers.list).toHaveLength(2);
  namespaces.list = [];
  expect(offers.list).toEqual([]);
});
