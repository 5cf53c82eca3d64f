// The gates as frontends of rsiod. Invariant: gates of all protocols follow the same configuration.

import { programVersion } from '@rsio/base/lib/version';
import type { NewGates } from '@rsio/rsiod/frontends/gate-frontends';
import { AoeGates } from '../aoe/aoe-gates.ts';
import { Gates } from '../gates.ts';

export const newGates: NewGates = ({ paths, config, ...parts }) => {
  const version = programVersion();
  const gates = new Gates({ ...parts, version, numbersFile: paths.gatesFile, gates: config.gates });
  const aoeGates = new AoeGates({ ...parts, version, notesFile: paths.aoeFile, gates: config.aoeGates });
  return {
    frontends: [gates, aoeGates],
    get usedBytes() {
      return gates.usedBytes;
    },
    follow: async (next) => void (await Promise.all([gates.follow(next.gates), aoeGates.follow(next.aoeGates)])),
    claims: (volume, before) => gates.claims(volume, before) || aoeGates.claims(volume),
    placesOf: (volume) => gates.placesOf(volume),
    views: () => ({ gates: gates.views(), aoe: aoeGates.views() }),
  };
};
