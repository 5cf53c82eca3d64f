// Tests at which server of a mirror its moments are copied: when one server is gone, is behind, or returns with earlier moments than the
// followers have; and what stays when all of its servers come back from an old backup. The peers are stand-ins. followers.test.ts tests the
// lanes of other sources.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { beforeEach, describe, expect, test } from 'vitest';
import { followed, OfferedSource, OfferingPeers, seen, settled } from '../../testing/offering-peers.ts';
import { directory, scenes, usePoolDirectory } from '../../testing/pool-directory.ts';
import { PoolScene } from '../../testing/pool-scene.ts';

usePoolDirectory();

let s: OfferingPeers;
const db = (): OfferedSource => new OfferedSource(1, ['db']);

beforeEach(async () => {
  const scene = await PoolScene.open(directory, { clock: new FakeClock() });
  scenes.push(scene);
  s = new OfferingPeers(scene);
});

describe('a mirror', () => {
  let source: OfferedSource;
  beforeEach(async () => {
    source = db();
    source.isMirror = true;
    source.moment(s.clock.wallMs());
    s.peers.bergen.offer(source);
    await followed(s, source, null);
  });

  async function nextMoment(): Promise<void> {
    source.moment(s.clock.wallMs());
    await s.nextMoment();
  }

  test('is followed at one of its servers, and the other one learns what is confirmed', async () => {
    // A confirmation that comes after the next moment would be left out.
    await seen(() => s.peers.oslo.confirmed).toEqual(source.moments.map(({ group }) => group));
    await nextMoment();
    await seen(() => [s.lanes, s.state, s.pulls.slice(1)]).toEqual([['oslo'], ['db oslo 2'], ['oslo db difference']]);
    const groups = source.moments.map(({ group }) => group);
    // The steps on files take real time, and only a poll after the confirmation brings it to the other server.
    await seen(() => s.peers.oslo.confirmed).toEqual(groups);
    for (let polls = 0; polls < 2; polls++) await s.poll();
    await seen(() => [s.peers.oslo.confirmed, s.peers.bergen.confirmed.at(-1), s.warned]).toEqual([groups, groups[1], []]);
  });

  test('is followed at the other server with what differs when the first one is gone, and also after a restart', async () => {
    s.peers.oslo.isConnected = false;
    await nextMoment();
    await s.poll();
    await seen(() => [s.lanes, s.state, s.pulls.slice(1)]).toEqual([['bergen'], ['db bergen 2'], ['bergen db difference']]);
    await s.followers.stop();
    s.restart();
    s.peers.oslo.isConnected = true;
    s.peers.bergen.isConnected = false;
    s.followers.start();
    await settled();
    await nextMoment();
    await seen(() => [s.lanes, s.state, s.warned]).toEqual([['oslo'], ['db oslo 3'], []]);
  });

  test('is followed at the server that has newer moments, because the replica of the other one is out of sync', async () => {
    s.peers.oslo.behind = 1;
    await nextMoment();
    await s.poll();
    // One moment may be on its way.
    await seen(() => [s.lanes, s.state]).toEqual([['oslo'], ['db oslo 1']]);
    for (let moments = 2; moments <= 3; moments++) {
      s.peers.oslo.behind = moments;
      await nextMoment();
    }
    await s.poll();
    await s.poll();
    await seen(() => [s.lanes, s.state]).toEqual([['bergen'], ['db bergen 2']]);
  });

  test('whose servers all come back from an old backup does not let the followers remove what only they have', async () => {
    source.keep = 2;
    for (let moments = 2; moments <= 4; moments++) {
      await nextMoment();
      await seen(() => s.followers.views()[0]?.momentMs).toBe(source.moments.at(-1)?.momentMs);
    }
    const lost = source.moments.at(-1)!.group;
    source.comesBack(2);
    for (let moments = 0; moments < 4; moments++) {
      await nextMoment();
      await seen(() => s.followers.views()[0]?.momentMs).toBe(source.moments.at(-1)?.momentMs);
    }
    await seen(() => s.copies('db')).toContain(lost);
    await seen(() => s.followers.views()[0]?.text).toContain('rsadm volume promote db --from');
    expect(s.warned).toEqual([expect.stringContaining('does not know the moment')]);
    // Only the moment that the mirror does not know and the one after it stay besides those that are kept.
    await seen(() => s.copies('db').length).toBe(4);
    // A person who gives it up gets an ordinary follower again.
    await s.remove('db', lost);
    await nextMoment();
    await seen(() => [s.copies('db').length, s.followers.views()[0]?.text]).toEqual([2, expect.not.stringContaining('stays')]);
  });

  describe('whose second server was away for longer than moments are kept', () => {
    beforeEach(async () => {
      source.keep = 3;
      for (let moments = 0; moments < 3; moments++) await nextMoment();
      await s.poll();
      s.peers.bergen.isConnected = false;
      for (let moments = 0; moments < 5; moments++) {
        s.peers.bergen.behind++;
        await nextMoment();
      }
      await s.poll();
      s.peers.bergen.isConnected = true;
    });
    const newestMs = (): number | null | undefined => s.followers.views()[0]?.momentMs;

    test('stays at the first server', async () => {
      for (let polls = 0; polls < 4; polls++) await s.poll();
      await seen(() => [s.lanes, newestMs(), s.pulls.filter((pull) => pull.startsWith('bergen'))]).toEqual([
        ['oslo'],
        source.moments.at(-1)?.momentMs,
        [],
      ]);
      await s.followers.stop();
      s.restart();
      s.followers.start();
      await settled();
      for (let polls = 0; polls < 4; polls++) await s.poll();
      await seen(() => [s.lanes, newestMs(), s.warned]).toEqual([['oslo'], source.moments.at(-1)?.momentMs, []]);
    });

    test('has earlier moments, which never become the newest ones of the followers', async () => {
      s.peers.oslo.isConnected = false;
      for (let polls = 0; polls < 4; polls++) await s.poll();
      const newest = source.moments.at(-1)?.momentMs;
      await seen(() => [s.lanes, newestMs(), s.pulls.filter((pull) => pull.startsWith('bergen'))]).toEqual([['bergen'], newest, []]);
      // The server may make moments again, although its last ones are never copied.
      await seen(() => s.peers.bergen.confirmed.at(-1)).toBe(source.moments.at(-6)?.group);
      await seen(() => s.followers.views()[0]?.text).toContain('out of sync');
      s.peers.oslo.isConnected = true;
      await s.poll();
      await s.poll();
      await seen(() => s.lanes).toEqual(['oslo']);
    });

    test('learns that its moments are not needed any more', async () => {
      s.peers.bergen.confirmed.length = 0;
      await s.poll();
      await s.poll();
      await seen(() => [s.lanes, s.peers.bergen.confirmed.at(-1)]).toEqual([['oslo'], source.moments.at(-6)?.group]);
    });
  });
});
