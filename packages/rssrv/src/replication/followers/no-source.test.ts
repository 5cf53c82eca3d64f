// Tests what a server says when followers have no source for an exchange of the roles: after a promotion, without a connection, and after the
// end of the replication at the source.

import { expect, test } from 'vitest';
import type { FollowerMark } from '../../pools/disk/manifest.ts';
import { noSource } from './no-source.ts';

const uuid = '00000000-0000-4000-8000-000000000001';

function follower(name: string, isPromoted = false) {
  const promoted = isPromoted ? { group: uuid, momentMs: 1, atMs: 2 } : null;
  const mark: FollowerMark = {
    replication: uuid,
    peer: 'oslo',
    sourceId: uuid,
    sourceName: name,
    sourceUniverse: 0,
    members: [uuid],
    promoted,
  };
  return { name, universe: 0, follower: mark };
}

test('promoted volumes are no followers any more, although their source is connected', () => {
  expect(noSource([follower('db', true)], null, () => true)).toMatchObject({
    code: 'E_USAGE',
    message: 'Volume db is no follower any more after the promotion: rsadm volume replications shows the followers',
  });
});

test('a source that is not connected is named, with the command for its loss', () => {
  expect(noSource([follower('db'), follower('log')], 'oslo', () => false)).toMatchObject({
    code: 'E_UNREACHABLE',
    message:
      'Server oslo, which has the source of db, log, is not connected: if it is lost, rsadm volume promote db log makes the followers usable without it',
  });
  expect(noSource([follower('db')], null, () => false).message).toContain('is not connected');
});

test('a connected server without the replication is not said to be away', () => {
  const { message } = noSource([follower('db')], null, () => true);
  expect(message).toContain('Server oslo offers no replication of db');
  expect(message).toContain('rsadm volume promote db makes');
});
