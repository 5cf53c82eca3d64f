// Mutants of the rules of gates (D1). The zoo runs them against explorers/gate-worlds.ts.
// Invariant: each breaks one of the two conditions of the rule.

import { Controller } from '@rsio/rsiod/gates/nvme/controller';
import { GapWatch } from '@rsio/rsiod/gates/gap-watch';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

interface ControllerInner {
  isSilent: PrivateAs<Controller['isSilent'], () => boolean>;
}

export const GATE_MUTANTS: readonly Mutant[] = [
  {
    name: 'gap-unheeded',
    rule: 'D1',
    breaks: 'A gate executes what has lain unread while its process stood still',
    explorer: 'gates',
    apply: () => override<GapWatch, [], boolean>(GapWatch, 'look', () => () => false),
  },
  {
    name: 'late-heard',
    rule: 'D1',
    breaks: 'A gate executes what arrives after the keep-alive time of its host',
    explorer: 'gates',
    apply: () => override<ControllerInner, [], boolean>(Controller, 'isSilent', () => () => false),
  },
];
