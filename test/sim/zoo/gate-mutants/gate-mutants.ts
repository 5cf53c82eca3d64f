// Mutants of the rules of gates (D1, D3). The zoo runs them against explorers/gate-worlds.ts and explorers/gate-pair-worlds.ts.
// Invariant: each breaks one condition of a rule.

import { BlockOrder, type Change, Hold } from '@rsio/gates/order/block-order';
import { GateOrder } from '@rsio/gates/order/gate-order';
import { GatePath, type HeldChange, type Moment, type PathPorts } from '@rsio/gates/order/gate-path';
import { IscsiConnection } from '@rsio/gates/iscsi/iscsi-connection';
import { GATE_PROOF_MS } from '@rsio/gates/limits';
import { Controller } from '@rsio/gates/nvme/controller';
import { CrossResets } from '@rsio/gates/nvme/cross-resets';
import { NvmeCommand } from '@rsio/gates/nvme/nvme-command';
import type { Queue } from '@rsio/gates/nvme/queue';
import type { Outcome } from '@rsio/gates/scsi/constants';
import { Nexus } from '@rsio/gates/scsi/nexus';
import type { ScsiTask } from '@rsio/gates/scsi/scsi-task';
import { type StandbyGate, StandbyNamespace, Standbys, StandbyVolume } from '@rsio/gates/standbys';
import type { AnaState } from '@rsio/gates/ports/gate-namespace';
import type { Status } from '@rsio/protocol/wire/status';
import type { VolumeIo } from '@rsio/rsiod/volumes/frontend-volume';
import { override, overrideGetter } from '../../base/override.ts';
import { PairServer } from '../explorers/gate-pair-worlds.ts';
import { all, type Mutant, type PrivateAs } from '../mutants/mutant.ts';

interface StandbysInner {
  volumes: PrivateAs<Standbys['volumes'], Map<string, StandbyVolume>>;
  gates: PrivateAs<Standbys['gates'], () => Iterable<StandbyGate>>;
}

interface PathInner {
  provenStep: number;
  holds: Set<HeldChange>;
  order: PrivateAs<GatePath['order'], GateOrder>;
  provesStep(step: number): void;
}

interface ConnectionInner {
  path: PrivateAs<IscsiConnection['path'], GatePath | null>;
  ping: PrivateAs<IscsiConnection['ping'], { tag: number; moment: Moment } | null>;
  phase: PrivateAs<IscsiConnection['phase'], string>;
  sendPing: PrivateAs<IscsiConnection['sendPing'], () => void>;
  close(why: string): void;
}

interface ControllerInner {
  path: GatePath;
  admin: PrivateAs<Controller['admin'], Queue>;
  csts: PrivateAs<Controller['csts'], number>;
  subsystem: PrivateAs<Controller['subsystem'], { left(controller: unknown): void }>;
}

interface BlockOrderInner {
  whole: PrivateAs<BlockOrder['whole'], { step: number; path: number }>;
  holds: PrivateAs<BlockOrder['holds'], Set<Hold>>;
}

const KEEP_ALIVE = 0x18;

export const GATE_MUTANTS: readonly Mutant[] = [
  {
    name: 'arrival',
    rule: 'D1',
    breaks: 'The arrival of an answer counts as the proof moment, and not the time when the gate sent what it answers',
    explorer: 'gates',
    apply: () => override<PathInner, [number], void>(GatePath, 'provesStep', (original) => (self) => original(self, self.order.now)),
  },
  {
    name: 'own-ping',
    rule: 'D1',
    breaks: 'A ping that the host sends by itself counts as a proof',
    explorer: 'gates',
    apply: () =>
      override<ConnectionInner, [], void>(IscsiConnection, 'echo', (original) => (self) => {
        if (self.path !== null) self.path.proves(self.path.moment);
        original(self);
      }),
  },
  {
    name: 'no-seq',
    rule: 'D1',
    breaks: 'Several pings have one tag, so that the answer to an early one counts for a later one',
    explorer: 'gates',
    apply: () =>
      all(
        override<ConnectionInner, [], void>(IscsiConnection, 'sendPing', (original) => (self) => {
          self.ping = null;
          original(self);
        }),
        override<ConnectionInner, [number], void>(IscsiConnection, 'pong', (original) => (self) => original(self, self.ping?.tag ?? 0)),
      ),
  },
  {
    name: 'present-ka',
    rule: 'D1',
    breaks: 'A Keep Alive that has just come counts as a proof',
    explorer: 'gates',
    apply: () =>
      override<ControllerInner, [NvmeCommand], void>(Controller, 'execute', (original) => (self, command) => {
        if (command.opcode === KEEP_ALIVE) self.path.proves(self.path.moment);
        original(self, command);
      }),
  },
  {
    name: 'any-path',
    rule: 'D1',
    breaks: 'The proof of one path counts for all paths',
    explorer: 'gates',
    apply: () => {
      const paths = new WeakMap<GateOrder, GatePath[]>();
      return all(
        override<GateOrder, [PathPorts], GatePath>(GateOrder, 'newPath', (original) => (self, ports) => {
          const path = original(self, ports);
          paths.set(self, [...(paths.get(self) ?? []), path]);
          return path;
        }),
        override<PathInner, [number], void>(GatePath, 'provesStep', (original) => (self, step) => {
          for (const path of paths.get(self.order) ?? []) original(path as unknown as PathInner, step);
        }),
      );
    },
  },
  {
    name: 'spdk-ka',
    rule: 'D1',
    breaks: 'Any Keep Alive proves that the host has received the answer to the one before',
    explorer: 'gates',
    apply: () => {
      const before = new WeakMap<ControllerInner, Moment>();
      return override<ControllerInner, [NvmeCommand], void>(Controller, 'execute', (original) => (self, command) => {
        if (command.opcode === KEEP_ALIVE) {
          const moment = before.get(self);
          before.set(self, self.path.moment);
          if (moment !== undefined) self.path.proves(moment);
        }
        original(self, command);
      });
    },
  },
  {
    name: 'no-grant',
    rule: 'D1',
    also: ['D3'],
    breaks: 'A gate that has got the volume does not count that as a change of every block',
    explorer: 'gate-pairs',
    apply: () =>
      override<BlockOrderInner, [GatePath, Change, number, number], boolean>(BlockOrder, 'admits', (original) => (self, ...args) => {
        if (self.whole.path === 0) self.whole.step = 0;
        return original(self, ...args);
      }),
  },
  {
    name: 'old-ping',
    rule: 'D1',
    breaks: 'A ping that was sent before the change of the other path counts as a proof',
    explorer: 'gates',
    apply: () =>
      override<PathInner, [number], void>(GatePath, 'provesStep', (original) => (self, step) => {
        for (const hold of self.holds) if (hold instanceof Hold) hold.needed = 0;
        original(self, step);
      }),
  },
  {
    name: 'no-recheck',
    rule: 'D1',
    breaks: 'A change that is held does not see what other paths change meanwhile',
    explorer: 'gates',
    apply: () =>
      override<BlockOrderInner, [GatePath, number, number], void>(BlockOrder, 'executed', (original) => (self, ...args) => {
        const needed = new Map([...self.holds].map((hold) => [hold, hold.needed]));
        original(self, ...args);
        for (const [hold, step] of needed) hold.needed = step;
      }),
  },
  {
    name: 'stale-data',
    rule: 'D1',
    breaks: 'Data that a host was asked for is executed, whatever other paths have changed since the request',
    explorer: 'gates',
    apply: () =>
      all(
        overrideGetter<PathInner, number>(GatePath, 'step', () => Infinity),
        override<PathInner, [number], void>(
          GatePath,
          'provesStep',
          (original) => (self, step) => original(self, Math.min(step, self.order.now)),
        ),
      ),
  },
  {
    name: 'cached-clock',
    rule: 'D1',
    breaks: 'The age of a path is taken with the time of the last tick, which is old when the process has stood still',
    explorer: 'gates',
    apply: () => {
      const ticks = new WeakMap<ConnectionInner, number>();
      return all(
        override<ConnectionInner, [number], void>(IscsiConnection, 'tick', (original) => (self, nowMs) => {
          ticks.set(self, nowMs);
          original(self, nowMs);
        }),
        override<ConnectionInner, [], boolean>(IscsiConnection, 'closesUnproven', () => (self) => {
          const nowMs = ticks.get(self);
          if (self.phase !== 'serving' || self.path === null || nowMs === undefined) return false;
          if (self.path.unprovenMs(nowMs) < GATE_PROOF_MS) return false;
          self.close('a mutant');
          return true;
        }),
      );
    },
  },
  {
    name: 'early-ccr',
    rule: 'D1',
    breaks: 'A cross-controller reset is answered before the connections of the lost controller are closed',
    explorer: 'gates',
    apply: () =>
      override<
        { ports: PrivateAs<CrossResets['ports'], { answer(command: NvmeCommand, code: number, low: number): void }> },
        [NvmeCommand],
        number | null
      >(CrossResets, 'execute', () => (self, command) => {
        self.ports.answer(command, 0, 1);
        return null;
      }),
  },
  {
    name: 'admin-only',
    rule: 'D1',
    breaks: 'A controller that ends closes its admin connection alone',
    explorer: 'gates',
    apply: () =>
      all(
        override<ControllerInner, [(queue: Queue) => void], void>(Controller, 'close', () => (self, each) => each(self.admin)),
        override<ControllerInner, [Queue], void>(Controller, 'left', (original) => (self, queue) => {
          original(self, queue);
          if (queue === self.admin) self.subsystem.left(self);
        }),
      ),
  },
  {
    name: 'busy-compare',
    rule: 'D1',
    breaks: 'COMPARE AND WRITE is called busy while a volume has it, and is executed later',
    explorer: 'gates',
    apply: () =>
      override<{ answer(task: ScsiTask, outcome: Outcome): void; away: Outcome }, [ScsiTask], void>(
        Nexus,
        'giveUp',
        (original) => (self, task) => (task.hasBegun ? self.answer(task, self.away) : original(self, task)),
      ),
  },
  {
    name: 'busy-fused',
    rule: 'D1',
    breaks: 'A fused pair is called interrupted while a volume has it, and is executed later',
    explorer: 'gates',
    apply: () =>
      override<NvmeCommand, [number, number], boolean>(
        NvmeCommand,
        'isOverdue',
        () => (self, nowMs, patienceMs) =>
          self.begunMs !== null && !self.isLate && self.phase === 'executing' && nowMs - self.begunMs > patienceMs,
      ),
  },
  {
    name: 'no-proof',
    rule: 'D3',
    breaks: 'The volume is given to the other gate while writes of the first one are under way',
    explorer: 'gate-pairs',
    apply: () =>
      override<PairServer, [VolumeIo, number], Status>(PairServer, 'execute', (original) => (self, io) => original(self, io, self.handle)),
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
