// Tests orders about clients: the rights of askers, the refusal of a client's order about itself, and the audit trail.
// volumes/fencing.test.ts and volumes/holds/releases.test.ts test the effects of the orders. test/integration/admin-frame.test.ts tests
// orders over a session.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RssrvConfig, ClientRole } from '@rsio/common/config/schema/types';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Fences } from '../volumes/fences.ts';
import { type Asker, clientAsker, LOCAL_ASKER } from '../pools/asker.ts';
import { asking } from '../testing/asking.ts';
import { clientHandlers } from './client-handlers.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

type Orders = ReturnType<typeof clientHandlers>;
type Line = { readonly text: string } & Readonly<Record<string, unknown>>;

const ORDERS = ['kick', 'fence', 'unfence', 'release'] as const;
const HELD = 'id-of-oracle';

let folder: string;
let fences: Fences;
let lines: Line[];
/** Effects of the orders, the oldest first. */
let done: string[];
let holders: Record<string, readonly string[]>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-client-orders-'));
  fences = new Fences(new FakeClock(), join(folder, 'fences.json'), { hasHadFences: false, noteFences: () => Promise.resolve() }, () =>
    Promise.resolve(),
  );
  [lines, done, holders] = [[], [], { venus: [HELD] }];
});

afterEach(() => removeFolder(folder));

function clientWith(role: ClientRole, node = 'ops'): Asker {
  return clientAsker(node, asking([{ name: node, role, pools: null, limitBytes: null, line: 1 }]));
}

function ordersOf(asker: Asker): Orders {
  const log = (text: string, fields: object = {}): void => void lines.push({ text, ...fields });
  const server = {
    clock: new FakeClock(),
    log: { info: log, warn: log },
    config: () =>
      ({ clients: ['ops', 'big-2', 'venus'].map((name) => ({ name, key: '', newKey: null })) }) as Partial<RssrvConfig> as RssrvConfig,
  };
  const clients = {
    fences,
    probes: { close: () => void done.push('probes') },
    sessions: {
      closeHandles: () => Promise.resolve(true),
      endSession: (node: string) => {
        done.push(`session of ${node}`);
        return { pid: 1, blockedMs: null, ended: Promise.resolve(true) };
      },
      isThere: () => false,
    },
    holds: {
      heldBy: (node: string) => [...(holders[node] ?? [])],
      holdOf: () => undefined,
      endHold: async (_id: string, node: string) => {
        done.push(`hold of ${node}`);
        holders[node] = [];
        return true;
      },
    },
    volumes: { served: [], nameOf: () => 'oracle@0', sync: () => Promise.resolve(), suspend: () => undefined },
    incarnation: () => 'life',
    incarnationEnded: () => Promise.resolve(),
    disputedMs: () => 0,
    holdersChanged: () => void done.push('announced'),
  };
  return clientHandlers(server, clients as Parameters<typeof clientHandlers>[1], { clients: () => [] }, asker);
}

function give(asker: Asker, order: (typeof ORDERS)[number], name: string): Promise<unknown> {
  const orders = ordersOf(asker);
  return Promise.resolve().then(() =>
    order === 'release' ? orders['client-release']({ name, volume: null, universe: 0, force: false }) : orders[`client-${order}`]({ name }),
  );
}

const audited = (): readonly Line[] => lines.filter(({ audit }) => audit === true);

describe.each(ORDERS)('%s', (order) => {
  test.each(['use', 'manage'] as const)(
    'is refused to a client with the right %s; the refusal names the right that is needed',
    async (role) => {
      const verb = order === 'release' ? 'release holds of' : order;
      await expect(give(clientWith(role), order, 'venus')).rejects.toMatchObject({
        code: 'E_RIGHTS',
        message: `Client ops may not ${verb} clients: its right is ${role}, and admin is needed; rsadm client rights ops admin gives it`,
      });
      expect([done, lines, fences.names]).toEqual([[], [], []]);
    },
  );

  test('is refused to a client without a line in [rights]', async () => {
    await expect(give(clientAsker('ops', asking()), order, 'venus')).rejects.toMatchObject({ code: 'E_RIGHTS' });
    expect(done).toEqual([]);
  });

  test('is refused to a client that names itself, also with the right admin', async () => {
    holders['ops'] = [HELD];
    await expect(give(clientWith('admin'), order, 'ops')).rejects.toMatchObject({
      code: 'E_RIGHTS',
      message: expect.stringMatching(/^Client ops may not .* itself: give the order on the server, or from another client$/) as string,
    });
    expect([done, lines, fences.names]).toEqual([[], [], []]);
  });

  test('is refused to a fenced client, also with the right admin', async () => {
    await fences.set('ops', null);
    await expect(give(clientWith('admin'), order, 'venus')).rejects.toMatchObject({ code: 'E_FENCED' });
    expect([done, lines, fences.names]).toEqual([[], [], ['ops']]);
  });

  test.each([
    ['a client with the right admin', clientWith('admin'), 'by client ops'],
    ['an administrator on the server', LOCAL_ASKER, 'by an administrator on the server'],
  ])('is executed for %s, and is in the audit trail with its asker', async (_who, asker, by) => {
    if (order === 'unfence') await fences.set('venus', null);
    await give(asker, order, 'venus');
    expect(audited().at(-1)).toMatchObject({ client: 'venus', text: expect.stringMatching(new RegExp(`, ${by}$`)) as string });
    expect(fences.has('venus')).toBe(order === 'fence');
    expect(done.length > 0).toBe(order !== 'unfence');
  });

  test('names a client that the server does not know', async () => {
    await expect(give(clientWith('admin'), order, 'nobody')).rejects.toMatchObject({ code: 'E_UNKNOWN_CLIENT' });
    expect(done).toEqual([]);
  });
});
