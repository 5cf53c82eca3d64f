// Tests the plan of routes: examples from practice, and properties that hold in every situation. namespace-routes.test.ts tests how paths
// start and end, and the tests of the explorer cover common subnets.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PATHS_PER_TRUNK_MAX } from '@rsio/protocol/link/limits';
import { endPointKey } from '@rsio/base/lib/subnet';
import { type LocalInterface, planRoutes, type RouteEnds, routeKey, type RouteSituation, type ServerPicture } from './route-plan.ts';

const PORT = 5000;

function local(index: number, address: string, prefixLength: number | null = 24): LocalInterface {
  return { name: `if${index}`, address, prefixLength, portGiven: null };
}

function situation(changes: {
  sections?: string[];
  paths?: 'auto' | 'all' | 'configured';
  locals?: string[];
  servers?: ServerPicture[];
  hints?: ServerPicture[];
}): RouteSituation {
  const sections = (changes.sections ?? ['10.0.1.9']).map((address, position) => {
    return { name: `s-${position}`, address, port: null, serverkey: `key ${position}`, position };
  });
  return {
    whole: { defaultPort: null },
    config: { port: PORT, paths: changes.paths ?? 'auto', servers: sections },
    locals: (changes.locals ?? ['10.0.1.1', '10.0.2.1']).map((address, index) => local(index, address)),
    servers: changes.servers ?? [],
    hints: changes.hints ?? [],
  };
}

/**
 * Makes a connected server whose current list contains the addresses `now`. `before`: addresses in the server's earlier lists. `met`:
 * addresses at which the server has proved its identity. `living`: its working paths.
 */
function server(
  now: string[],
  changes: { before?: string[]; met?: string[]; living?: RouteEnds[]; serverid?: number } = {},
): ServerPicture {
  const keys = (addresses: string[]): Set<string> => new Set(addresses.map((address) => endPointKey(address, PORT)));
  return {
    serverid: changes.serverid ?? 1,
    name: 'big-9',
    interfaces: now.map((address, index) => ({ name: `e${index}`, address, port: PORT })),
    named: keys([...(changes.before ?? []), ...now]),
    metAt: keys(changes.met ?? []),
    living: changes.living ?? [],
  };
}

function ends(from: string, to: string, serverid: number | null = null): RouteEnds {
  return {
    local: local(0, from),
    remote: { name: 'any', address: to, serverkey: null, position: serverid === null ? 0 : null, serverid },
    port: PORT,
  };
}

function shown(given: RouteSituation): string[] {
  return planRoutes(given).wanted.map(({ local: from, remote, port }) => `${from.name} ${remote.name} ${remote.address}/${port}`);
}

function reasons(given: RouteSituation): string[] {
  return planRoutes(given).leftOut.map(({ name, reason }) => `${name}: ${reason}`);
}

describe('interfaces that a server names', () => {
  test('become routes if they are on a common subnet; the others have a reason', () => {
    const given = situation({ servers: [server(['10.0.1.9', '10.0.2.9', '10.0.3.9'])] });
    expect(shown(given)).toEqual(['if0 s-0 10.0.1.9/5000', 'if1 big-9-e1 10.0.2.9/5000']);
    expect(reasons(given)).toEqual(['big-9-e2: no interface of this client is in its subnet']);
    expect(planRoutes(given).wanted[1]?.remote).toMatchObject({ position: null, serverid: 1, serverkey: 'key 0' });
  });

  test('become routes from every interface with paths = all, and none with paths = configured', () => {
    const servers = [server(['10.0.1.9', '10.0.3.9'])];
    expect(shown(situation({ servers, paths: 'all' }))).toEqual([
      'if0 s-0 10.0.1.9/5000',
      'if1 s-0 10.0.1.9/5000',
      'if0 big-9-e1 10.0.3.9/5000',
      'if1 big-9-e1 10.0.3.9/5000',
    ]);
    expect(shown(situation({ servers: [server(['10.0.2.9'], { before: ['10.0.1.9'] })], paths: 'configured' }))).toEqual([
      'if0 s-0 10.0.1.9/5000',
    ]);
  });

  test('count only while a section leads to that server', () => {
    expect(shown(situation({ servers: [server(['10.0.2.9'])] }))).toEqual(['if0 s-0 10.0.1.9/5000']);
    expect(shown(situation({ servers: [server(['10.0.2.9'], { met: ['10.0.1.9'] })] }))).toEqual([
      'if0 s-0 10.0.1.9/5000',
      'if1 big-9-e0 10.0.2.9/5000',
    ]);
  });

  test('are not routes if they are not the address of one host, or of the other family', () => {
    expect(
      shown(situation({ servers: [server(['10.0.1.9', '0.0.0.0', '224.0.0.1', 'fd00::1'])], paths: 'all', locals: ['10.0.1.1'] })),
    ).toEqual(['if0 s-0 10.0.1.9/5000']);
  });
});

describe('a section whose address its server no longer names', () => {
  const gone = (living: RouteEnds[]): RouteSituation =>
    situation({ sections: ['10.0.1.9', '10.0.2.9'], servers: [server(['10.0.2.9'], { before: ['10.0.1.9'], living })] });

  test('is left out while another path is up', () => {
    expect(shown(gone([ends('10.0.2.1', '10.0.2.9')]))).toEqual(['if1 s-1 10.0.2.9/5000']);
    expect(reasons(gone([ends('10.0.2.1', '10.0.2.9')]))).toEqual(['s-0: server big-9 does not list it any more']);
  });

  test('stays if no other path is up, both for the last path and for the way back', () => {
    for (const living of [[], [ends('10.0.1.1', '10.0.1.9')]]) {
      expect(shown(gone(living))).toEqual(['if0 s-0 10.0.1.9/5000', 'if1 s-1 10.0.2.9/5000']);
    }
  });
});

test('an address where one server is connected is not given to another server that names it too', () => {
  const living = [ends('10.0.1.1', '10.0.1.9', null), ends('10.0.2.1', '10.0.2.9', 2)];
  const met = ['10.0.1.9', '10.0.2.9'];
  const owner = server(met, { serverid: 2, met, living });
  const liar = server(['10.0.2.8', '10.0.2.9'], { serverid: 1, met: ['10.0.2.8'] });
  const given = situation({ sections: ['10.0.1.9', '10.0.2.8'], servers: [owner, liar] });
  const learned = planRoutes(given).wanted.find(({ remote }) => remote.address === '10.0.2.9');
  expect(learned?.remote.serverid).toBe(2);
  expect(reasons(given)).toContain(
    'big-9-e1: serverid 2 has proved itself there, and names it, too: correct [interface] in the rssrvcfg of one of them',
  );
});

// Regression: planning twice gave two different plans. The first plan ended the last path to a server, but that server still protected its
// address. In the second plan, the server no longer protected the address.
test('a server whose last path the plan ends does not protect an address from another server', () => {
  const leaving = server(['10.0.2.9'], { serverid: 1, met: ['10.0.2.9'], living: [ends('10.0.1.1', '10.0.7.9')] });
  const other = server(['10.0.1.9', '10.0.2.9'], { serverid: 2, met: ['10.0.1.9'] });
  const given = situation({ servers: [leaving, other] });
  const { wanted } = planRoutes(given);
  expect(wanted.map(({ remote }) => [remote.address, remote.serverid])).toContainEqual(['10.0.2.9', 2]);
  expect(planRoutes({ ...given, servers: [{ ...leaving, living: [] }, other] }).wanted).toEqual(wanted);
});

// Regression: a server to which no section leads took an address away from another server. The other server got the address back only when
// the last path to the first server had ended.
test('a server to which no section leads does not protect an address from another server', () => {
  const moved = server(['10.0.2.9'], { serverid: 1, met: ['10.0.2.9'], living: [ends('10.0.1.1', '10.0.7.9')] });
  const other = server(['10.0.2.9'], { serverid: 2, before: ['10.0.1.9'], living: [ends('10.0.2.1', '10.0.2.9')] });
  const given = situation({ servers: [moved, other] });
  const { wanted } = planRoutes(given);
  expect(wanted.map(({ remote }) => [remote.address, remote.serverid])).toEqual([['10.0.2.9', 2]]);
  expect(planRoutes({ ...given, servers: [{ ...moved, living: [] }, other] }).wanted).toEqual(wanted);
});

test('a learned route that is no longer named ends when another is up', () => {
  const old = ends('10.0.2.1', '10.0.2.9', 1);
  const one = (living: RouteEnds[]): RouteSituation => situation({ servers: [server(['10.0.1.9'], { before: ['10.0.2.9'], living })] });
  expect(shown(one([old]))).toEqual(['if0 s-0 10.0.1.9/5000', 'if1 any 10.0.2.9/5000']);
  expect(shown(one([old, ends('10.0.1.1', '10.0.1.9')]))).toEqual(['if0 s-0 10.0.1.9/5000']);
});

test('the names from a server cannot make more paths than a trunk may have', () => {
  const names = Array.from({ length: 60 }, (_, index) => `10.0.1.${index + 20}`);
  const given = situation({ servers: [server(names, { met: ['10.0.1.9'] })], paths: 'all' });
  expect(planRoutes(given).wanted).toHaveLength(PATHS_PER_TRUNK_MAX);
  expect(reasons(given)[0]).toBe('big-9-e31: server big-9 has 64 paths without it');
});

// --- properties

const address = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })).map(([net, host]) => `10.0.${net}.${host}`);
const addresses = (maxLength: number) => fc.uniqueArray(address, { maxLength });
const port = fc.constantFrom(5000, 5001);

const anyServer = (serverid: number, locals: readonly LocalInterface[]) =>
  fc
    .record({
      now: addresses(4),
      before: addresses(3),
      met: addresses(2),
      port,
      living: fc.array(fc.tuple(fc.nat(), address, fc.boolean()), { maxLength: 3 }),
    })
    .map(({ now, before, met, port: at, living }): ServerPicture => {
      const keys = (list: readonly string[]): string[] => list.map((one) => endPointKey(one, at));
      const routes = locals.length === 0 ? [] : living;
      const livingRoute = (which: number, to: string, isLearned: boolean): RouteEnds => {
        return { ...ends('', to, isLearned ? serverid : null), local: locals[which % locals.length]!, port: at };
      };
      return {
        serverid,
        name: `server${serverid}`,
        interfaces: now.map((one, index) => ({ name: `e${index}`, address: one, port: at })),
        named: new Set([...keys(before), ...keys(now)]),
        metAt: new Set(keys(met)),
        living: [
          ...new Map(
            routes.map(([which, to, isLearned]) => [`${which % locals.length} ${to}`, livingRoute(which, to, isLearned)]),
          ).values(),
        ],
      };
    });

const anySituation: fc.Arbitrary<RouteSituation> = fc
  .uniqueArray(fc.tuple(address, fc.constantFrom(24, 16, null), fc.constantFrom(5001, null)), { maxLength: 3, selector: ([one]) => one })
  .map((list) =>
    list.map(([one, prefixLength, portGiven], index): LocalInterface => ({ name: `if${index}`, address: one, prefixLength, portGiven })),
  )
  .chain((locals) =>
    fc.record({
      whole: fc.constant({ defaultPort: null }),
      locals: fc.constant(locals),
      // The two servers must not have the same path, because each path leads to one server.
      servers: fc.tuple(anyServer(2, locals), anyServer(1, locals)).filter(([one, other]) => {
        const keys = new Set(one.living.map(routeKey));
        return !other.living.some((route) => keys.has(routeKey(route)));
      }),
      hints: fc.array(
        anyServer(3, locals).map((one) => ({ ...one, living: [] })),
        { maxLength: 1 },
      ),
      config: fc.record({
        port: fc.constant(null),
        paths: fc.constantFrom('auto' as const, 'all' as const, 'configured' as const),
        servers: addresses(4).map((list) =>
          list.map((one, position) => ({ name: `s-${position}`, address: one, port: null, serverkey: null, position })),
        ),
      }),
    }),
  );

/** Returns the situation after the plan with the routes `keys` has been applied: only the paths in the plan are still up. */
function carriedOut(given: RouteSituation, keys: ReadonlySet<string>): RouteSituation {
  return { ...given, servers: given.servers.map((one) => ({ ...one, living: one.living.filter((route) => keys.has(routeKey(route))) })) };
}

describe('a server that only an earlier process has reached', () => {
  const hints = [server(['10.0.2.9'], { before: ['10.0.1.9'], serverid: 7 })];

  test('is tried where it was last, if a section leads to it', () => {
    expect(shown(situation({ hints }))).toEqual(['if0 s-0 10.0.1.9/5000', 'if1 big-9-e0 10.0.2.9/5000']);
    expect(shown(situation({ hints, sections: ['10.0.1.8'] }))).toEqual(['if0 s-0 10.0.1.8/5000']);
    expect(shown(situation({ hints, paths: 'configured' }))).toEqual(['if0 s-0 10.0.1.9/5000']);
  });

  test('never takes an address that a connected server lists', () => {
    const given = situation({ hints, servers: [server(['10.0.2.9'], { met: ['10.0.1.9'], serverid: 9 })] });
    expect(planRoutes(given).wanted.map(({ remote }) => remote.serverid)).toEqual([null, 9]);
  });
});

describe('in any situation', () => {
  test('no two routes have the same ends', () => {
    fc.assert(
      fc.property(anySituation, (given) => {
        const keys = planRoutes(given).wanted.map(routeKey);
        expect(new Set(keys).size).toBe(keys.length);
      }),
    );
  });

  test('carrying out a plan does not change the plan', () => {
    fc.assert(
      fc.property(anySituation, (given) => {
        const { wanted } = planRoutes(given);
        expect(planRoutes(carriedOut(given, new Set(wanted.map(routeKey)))).wanted).toEqual(wanted);
      }),
      { numRuns: 1000 },
    );
  });

  test("a section that no server ever named is never left out because of servers' lists", () => {
    fc.assert(
      fc.property(anySituation, (given) => {
        const alone = planRoutes({ ...given, servers: [] }).wanted;
        const named = new Set(given.servers.flatMap((one) => [...one.named]));
        const mine = alone.filter(({ remote, port: at }) => !named.has(endPointKey(remote.address, at)));
        expect(shown(given)).toEqual(
          expect.arrayContaining(mine.map((one) => `${one.local.name} ${one.remote.name} ${one.remote.address}/${one.port}`)),
        );
      }),
    );
  });

  test('whatever servers name, routes begin at our interfaces, and learned ones lead to a subnet of ours unless paths = all', () => {
    fc.assert(
      fc.property(anySituation, (given) => {
        for (const { local: from, remote, port: at } of planRoutes(given).wanted) {
          expect(given.locals).toContain(from);
          if (remote.serverid === null) continue;
          expect(given.config.paths).not.toBe('configured');
          const lives = given.servers.some(({ living }) => living.some((one) => one.remote.address === remote.address && one.port === at));
          const isNear =
            from.prefixLength !== null &&
            remote.address.startsWith(
              from.address
                .split('.')
                .slice(0, from.prefixLength / 8)
                .join('.'),
            );
          expect(given.config.paths === 'all' || isNear || lives).toBe(true);
        }
      }),
    );
  });

  test("a server's list never ends its last working route", () => {
    fc.assert(
      fc.property(anySituation, (given) => {
        const alone = new Set(planRoutes({ ...given, servers: [] }).wanted.map(routeKey));
        const keys = new Set(planRoutes(given).wanted.map(routeKey));
        for (const { living } of given.servers) {
          if (living.length === 0 || !living.every((route) => alone.has(routeKey(route)))) continue;
          expect(living.some((route) => keys.has(routeKey(route)))).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
