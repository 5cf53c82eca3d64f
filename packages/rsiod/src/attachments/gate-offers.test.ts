// Tests which volumes gates may take over. The oracle is the list of offers that the test supplies.
// Rules: D3.

import { expect, it } from 'vitest';
import { GateOffers } from './gate-offers.ts';
import type { ServerOffer } from './offers.ts';

const LISTED = { name: 'oracle', universe: 0, id: 'one', sizeBytes: 4096, blockSizeBytes: 512, shared: false };

const taken: string[] = [];

function offersWith(changes: object, volumes: readonly object[] = [], holders: readonly object[] = []): GateOffers {
  const config = { name: 'osl', nodename: 'big-2', stall: {}, attach: 'none', volumes };
  const { name, universe, id } = LISTED;
  const offer = {
    namespace: 'osl',
    name,
    universe,
    id,
    readonly: false,
    mirror: null,
    holders,
    config,
    poolGeneration: null,
    isConnected: true,
    from: { volumes: [{ ...LISTED, ...changes }], refresh: () => Promise.resolve() },
  };
  const takeOver = (label: string, _: string, take: number) => {
    taken.push(`${label} ${take}`);
    return Promise.resolve({ volume: label, done: true, already: false, device: null, error: null });
  };
  const offers = new GateOffers({ list: [offer as unknown as ServerOffer] });
  offers.taken.listen(takeOver);
  return offers;
}

it('a volume that this client would attach read-only is not taken from the gate that writes it', () => {
  expect(offersWith({}).offered()).toMatchObject([{ id: 'one', sizeBytes: 4096 }]);
  expect(offersWith({ shared: true }).offered()).toEqual([]);
  expect(offersWith({}, [{ name: 'oracle', readonly: true }]).offered()).toEqual([]);
});

it('a volume is taken over from the gate that has it, and from no other client', async () => {
  const holder = (node: string): readonly object[] => [{ node, address: '127.45.0.9', sinceMs: 0 }];
  const oracle = offersWith({}).offered()[0]!;
  const take = async (holders: readonly object[], from: string | null): Promise<string | null> =>
    await offersWith({}, [], holders).take(oracle, from);
  expect([await take([], 'venus'), await take(holder('venus'), 'venus'), await take(holder('big-2'), 'venus')]).toEqual([null, null, null]);
  expect(taken.splice(0)).toEqual(['osl:oracle@0 1', 'osl:oracle@0 1', 'osl:oracle@0 1']);
  const refused = 'Client mars at 127.45.0.9 has it, which is no gate of it: detach it there';
  expect([await take(holder('mars'), 'venus'), taken.length]).toEqual([refused, 0]);
  // If no gate has the volume, the server decides whether the volume is free.
  expect([await take(holder('mars'), null), taken]).toEqual([null, ['osl:oracle@0 0']]);
});
