// Mutants of followers with content that was carried to their server. All are hunted in random lives of such followers (rssrv,
// testing/seed-lives.ts). Invariant: each mutant takes carried content for content of the source at one place.

import { type Incoming, IncomingFiles } from '@rsio/rssrv/pools/moves/incoming-files';
import { FollowerVerbs } from '@rsio/rssrv/replication/followers/follower-verbs';
import { override } from '../../base/override.ts';
import type { Mutant } from '../mutants/mutant.ts';

const LIVES = { explorer: 'seeds', rule: 'T11' } as const;

export const SEED_MUTANTS: readonly Mutant[] = [
  {
    ...LIVES,
    name: 'carried-not-compared',
    breaks: 'the first pull takes carried content for zeros, and leaves it where the source has a hole',
    apply: () =>
      override<object, [string, object, object | null], Promise<{ readonly file: string; readonly state: Incoming }>>(
        FollowerVerbs,
        'prepare',
        (original) =>
          async (self, ...asked) => {
            const { file, state } = await original(self, ...asked);
            return { file, state: { ...state, isCompared: false } };
          },
      ),
  },
  {
    ...LIVES,
    name: 'compared-until-cut',
    breaks: 'a pull that was cut takes the rest of the carried content for zeros when it goes on',
    apply: () =>
      override<object, [Incoming], Promise<void>>(
        IncomingFiles,
        'note',
        (original) => (self, state) => original(self, { ...state, isCompared: state.isCompared === true && state.positionBytes === 0 }),
      ),
  },
  {
    ...LIVES,
    name: 'compared-from-position',
    breaks: 'a pull of another snapshot goes on at the position that the pull before has reached',
    apply: () =>
      override<object, [Incoming, Pick<Incoming, 'snapshot' | 'sizeBytes' | 'positionBytes'>], Promise<Incoming>>(
        IncomingFiles,
        'again',
        (original) => async (self, known, state) => {
          const { positionBytes } = known;
          const begun = { ...(await original(self, known, state)), positionBytes };
          await (self as IncomingFiles).note(begun);
          return begun;
        },
      ),
  },
];
