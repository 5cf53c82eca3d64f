// When the list of all offers is made anew: as soon as something of it has changed, and not for each of a thousand volumes that asks for it.
// Leaves what a name means among them to offers.test.ts.

import { expect, it } from 'vitest';
import type { Namespace } from '../network/namespace.ts';
import { OfferList } from './offer-list.ts';

it('is the same list until something of it changes', () => {
  const server = {
    name: 'big-9',
    serverid: 1,
    isConnected: true,
    volumes: [{ name: 'oracle', universe: 0, id: 'a', readonly: false, holders: [] }],
  };
  const namespace = { config: { name: 'osl' }, orderedServers: [server] } as unknown as Namespace;
  const list = new OfferList();
  const first = list.of([namespace]);
  expect(first).toMatchObject([{ namespace: 'osl', server: 'big-9', name: 'oracle', isConnected: true }]);
  expect(list.of([namespace])).toBe(first);
  server.isConnected = false;
  expect(list.of([namespace])).toMatchObject([{ isConnected: false }]);
  server.volumes = [...server.volumes, { name: 'data', universe: 0, id: 'b', readonly: false, holders: [] }];
  expect(list.of([namespace])).toHaveLength(2);
  expect(list.of([])).toEqual([]);
});
