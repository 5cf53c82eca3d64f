// Tests what a server says to a client that may not take over the replica of this server.

import { expect, test } from 'vitest';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { voterReplicas } from './own-replicas.ts';

const REPLICA = {
  name: 'db',
  takeOver: ['big-2'],
  replica: { mirror: 'm', identity: 'i', mapPath: '/map' },
} as unknown as ServedVolume;

test.each([
  ['a pool', { pool: { ids: ['fast'], isThick: false } }, 'rsadm volume set db take-over=big-2,mars on this server'],
  ['a section', {}, 'add mars to take-over in [volume db] of rssrvcfg, then rsadm reload on this server'],
])('a refused take-over of a replica of %s names the order that permits it', (_what, fields, order) => {
  const replicas = voterReplicas(() => [{ ...REPLICA, ...fields }]);
  expect(replicas.whyNoTakeOver('m', 'big-2', 'mars'), 'a client in the list').toBeNull();
  expect(replicas.whyNoTakeOver('other', 'mars', 'big-2'), 'no replica here').toBeNull();
  expect(replicas.whyNoTakeOver('m', 'mars', 'big-2')).toBe(`to let client mars take it over, ${order}`);
});
