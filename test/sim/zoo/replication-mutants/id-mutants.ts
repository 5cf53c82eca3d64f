// Mutants of the ids and records by which two servers know what they have allowed each other. They are hunted in random lives of two servers at
// which people give any order (rssrv, testing/order-lives.ts), or of which one has old images (testing/consent-lives.ts). Invariant: each mutant replaces one id, or the place of one record, and leaves
// all checks in force.

import fs from 'node:fs';
import path from 'node:path';
import type { ReplicationOrder } from '@rsio/api/rssrv/replication-methods';
import type { PoolConfig } from '@rsio/common/config/schema/types';
import type { Found } from '@rsio/rssrv/pools/catalogue';
import { type Manifest, parseManifest, type WishMark } from '@rsio/rssrv/pools/disk/manifest';
import { PoolFiles } from '@rsio/rssrv/pools/disk/pool-files';
import { poolPaths } from '@rsio/rssrv/pools/disk/pool-paths';
import { Pools, type PoolsChange } from '@rsio/rssrv/pools/pools';
import type { OldSource } from '@rsio/rssrv/replication/followers/follower-plan';
import { FollowerVerbs } from '@rsio/rssrv/replication/followers/follower-verbs';
import { override } from '../../base/override.ts';
import { all, type Mutant } from '../mutants/mutant.ts';

const LIVES = { explorer: 'orders' } as const;
/** Lives in which names change at the source. */
const NAMES = { explorer: 'consents' } as const;
const NUMBERED = /^(0000000\d)-0000-4000-a000-(\d{12})$/;

function numberOf(id: string): number {
  return Number(NUMBERED.exec(id)?.[2] ?? 0);
}

/** The wish of an order gets an id from a number. `next`: the number, for the followers that get the wish. */
function wishNumber(next: (followers: readonly Found[], replication: string) => number): () => void {
  return override<FollowerVerbs, [string, WishMark | null], Promise<void>>(
    FollowerVerbs,
    'want',
    (original) => (self, replication, wanted) => {
      if (wanted === null) return original(self, replication, wanted);
      const followers = self.of(replication);
      const server = followers[0]?.pool.path.includes('/target/') === true ? 2 : 1;
      const number = String(next(followers, replication)).padStart(12, '0');
      return original(self, replication, { ...wanted, replication: `0000000${server}-0000-4000-a000-${number}` });
    },
  );
}

/** Returns a file beside the pools of the server, which an old image of the server has as well. */
function counterFile([first]: readonly Found[]): string {
  return path.join(path.dirname(first?.pool.path ?? ''), 'hand-overs');
}

export const ID_MUTANTS: readonly Mutant[] = [
  {
    ...LIVES,
    name: 'want-counter',
    rule: 'T9',
    also: ['T1'],
    breaks: 'a hand-over has the number after that of the replication, so that two wishes may have one id',
    apply: () => wishNumber((_followers, replication) => numberOf(replication) + 1),
  },
  {
    ...LIVES,
    name: 'term-counter',
    rule: 'T9',
    also: ['T1'],
    breaks: 'a hand-over has the number of its server and the next number that this server has not used, which goes back with an old image',
    apply: () =>
      wishNumber((followers, replication) => {
        const file = counterFile(followers);
        const last = fs.existsSync(file) ? Number(fs.readFileSync(file, 'utf8')) : 0;
        const next = Math.max(last, numberOf(replication)) + 1;
        fs.writeFileSync(file, String(next));
        return next;
      }),
  },
  {
    ...NAMES,
    name: 'by-name',
    rule: 'T8',
    breaks: 'the old source is found by its name, so that one with another name does not follow, or gets a follower beside it',
    apply: () =>
      override<FollowerVerbs, [ReplicationOrder, string], readonly OldSource[]>(
        FollowerVerbs,
        'oldSources',
        (original) => (self, order, peer) =>
          original(self, order, peer).filter(({ sourceId, name }) => order.members.some((one) => one.id === sourceId && one.name === name)),
      ),
  },
  {
    ...LIVES,
    name: 'record-apart',
    rule: 'T9',
    also: ['T7'],
    breaks: 'the records of a replication lie beside the data, and do not go back with it when the server comes back from an old image',
    apply: () => {
      const records = new Map<string, Manifest>();
      const fileOf = (pool: string, id: string): string => poolPaths.manifest(poolPaths.volume(pool, id));
      return all(
        override<PoolFiles, [Manifest], Promise<void>>(PoolFiles, 'replaceManifest', (original) => (self, manifest) => {
          const file = fileOf(self.directory, manifest.id);
          return original(self, manifest).finally(() => {
            if (fs.existsSync(file)) records.set(file, parseManifest(file, fs.readFileSync(file, 'utf8')));
          });
        }),
        override<Pools, [readonly PoolConfig[]], Promise<PoolsChange>>(Pools, 'prepare', (original) => async (self, configs) => {
          const change = await original(self, configs);
          const commit = change.commit.bind(change);
          change.commit = async () => {
            await commit();
            for (const pool of self.states)
              for (const { follower: _follower, replication: _replication, ...data } of [...pool.volumes.values()]) {
                const record = records.get(fileOf(pool.path, data.id));
                if (record !== undefined) self.put(pool.name, { ...data, ...marksOf(record) });
              }
          };
          return change;
        }),
      );
    },
  },
];

function marksOf({ follower, replication }: Manifest): Pick<Manifest, 'follower' | 'replication'> {
  return { ...(follower === undefined ? {} : { follower }), ...(replication === undefined ? {} : { replication }) };
}
