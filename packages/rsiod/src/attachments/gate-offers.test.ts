// What gates may take over. The oracle is the list of offers that it is given.
// Rules: D3.

import { expect, it } from 'vitest';
import { GateOffers } from './gate-offers.ts';
import type { ServerOffer } from './offers.ts';

const LISTED = { name: 'oracle', universe: 0, id: 'one', sizeBytes: 4096, blockSizeBytes: 512, shared: false };

function offersWith(changes: object, volumes: readonly object[] = []): GateOffers {
  const config = { name: 'osl', stall: {}, attach: 'none', volumes };
  const { name, universe, id } = LISTED;
  const offer = {
    namespace: 'osl',
    name,
    universe,
    id,
    readonly: false,
    mirror: null,
    config,
    from: { volumes: [{ ...LISTED, ...changes }] },
  };
  return new GateOffers({ offers: () => [offer as unknown as ServerOffer], takeOver: () => Promise.reject(new Error('Not asked')) });
}

it('a volume that this client would attach read-only is not taken from the gate that writes it', () => {
  expect(offersWith({}).offered()).toMatchObject([{ id: 'one', sizeBytes: 4096 }]);
  expect(offersWith({ shared: true }).offered()).toEqual([]);
  expect(offersWith({}, [{ name: 'oracle', readonly: true }]).offered()).toEqual([]);
});
