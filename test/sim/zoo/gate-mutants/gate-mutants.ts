// Mutants of the rules of gates (D1, D3). The zoo runs them against explorers/gate-worlds.ts and explorers/gate-pair-worlds.ts.
// Invariant: each breaks one condition of a rule.

import { Controller } from '@rsio/rsiod/gates/nvme/controller';
import { GapWatch } from '@rsio/rsiod/gates/gap-watch';
import { type StandbyGate, StandbyNamespace, Standbys, StandbyVolume } from '@rsio/rsiod/gates/standbys';
import type { AnaState } from '@rsio/rsiod/gates/ports/gate-namespace';
import type { VolumeIo } from '@rsio/rsiod/volumes/frontend-volume';
import { override, overrideGetter } from '../../base/override.ts';
import { all, type Mutant, type PrivateAs } from '../mutants/mutant.ts';

interface ControllerInner {
  isSilent: PrivateAs<Controller['isSilent'], () => boolean>;
}

interface StandbysInner {
  volumes: PrivateAs<Standbys['volumes'], Map<string, StandbyVolume>>;
  gates: PrivateAs<Standbys['gates'], () => Iterable<StandbyGate>>;
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
  {
    name: 'standby-keeps',
    rule: 'D3',
    breaks: 'A standby keeps the I/O of hosts, and executes it when it has the volume',
    explorer: 'gate-pairs',
    apply: () => {
      const kept = new WeakMap<StandbyVolume, VolumeIo[]>();
      return all(
        overrideGetter<StandbyNamespace, AnaState>(StandbyNamespace, 'ana', (self) => {
          self.wanted();
          return 'optimized';
        }),
        override<StandbyVolume, [VolumeIo], void>(StandbyVolume, 'submit', () => (self, io) => {
          kept.set(self, [...(kept.get(self) ?? []), io]);
        }),
        override<StandbysInner, [string], void>(Standbys, 'forgetId', (original) => (self, id) => {
          const volume = self.volumes.get(id);
          original(self, id);
          for (const { subsystem } of self.gates())
            for (const namespace of subsystem.namespaces.values())
              if (volume !== undefined) for (const io of kept.get(volume) ?? []) namespace.volume.submit(io);
        }),
      );
    },
  },
  {
    name: 'taken-back-at-once',
    rule: 'D3',
    breaks: 'A gate that has lost a volume takes it over again without a wait',
    explorer: 'gate-pairs',
    apply: () =>
      override<StandbysInner, [(id: string) => boolean], void>(Standbys, 'look', (original) => (self, isHere) => {
        for (const volume of self.volumes.values()) volume.nextMs = 0;
        original(self, isHere);
      }),
  },
];
