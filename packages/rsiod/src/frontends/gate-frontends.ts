// What rsiod needs of its gates, and what it gives to them. The gates are a package of their own, which registers itself: rsiod imports no
// gate, and the program rsiod (packages/gates/src/rsiod/main.ts) joins both.

import type { RsiodPaths } from '@rsio/common/config/root-paths';
import type { AoeGateConfig, ClientGateConfig } from '@rsio/common/config/schema/types';
import type { AoeGateView, GateView } from '@rsio/api/rsiod/methods';
import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import type { FrontendVolume, VolumeIdentity } from '../volumes/frontend-volume.ts';
import type { Frontend } from './frontend.ts';
import type { EarlierAudience, TakeFromPrograms } from './audience.ts';

/** A volume that servers offer, with the properties that hosts see. */
export interface OfferedVolume extends VolumeIdentity {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
}

/** The servers of all namespaces, for volumes that are not attached here. */
export interface StandbyServers {
  /** Volumes that only one holder at a time may write; returns the same list until an offer changes. */
  offered(): readonly OfferedVolume[];
  /** Reads the gate record of an offered volume at its server. */
  readRecord(volume: OfferedVolume): Promise<Buffer | null>;
  /**
   * Attaches the volume with this id. The volume is taken over, as far as H2 permits, only from the node `from`; null: from no node.
   * Resolves with null, or with the reason for the failure.
   */
  take(volume: OfferedVolume, from: string | null): Promise<string | null>;
}

/** The sections [gate] of a configuration. */
export interface GateSections {
  readonly gates: readonly ClientGateConfig[];
  readonly aoeGates: readonly AoeGateConfig[];
}

export interface GateParts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly paths: Pick<RsiodPaths, 'gatesFile' | 'aoeFile'>;
  readonly config: GateSections;
  /** Number of the namespace of this client, which is a part of the NQNs of its gates. */
  readonly namespaceid: () => number;
  /** Name of this client in a namespace. */
  readonly nodeOf: (namespace: string) => string;
  /** True when the volumes that were attached before the start have been attached again. */
  readonly isSettled: () => boolean;
  readonly servers: StandbyServers;
  readonly takeFromPrograms: TakeFromPrograms;
}

export interface GateFrontends {
  readonly frontends: readonly Frontend[];
  /** Memory for the data of commands of all gates that is in use. */
  readonly usedBytes: number;
  /** Applies the [gate] sections of a configuration. */
  follow(config: GateSections): Promise<void>;
  /** True if the hosts of a gate are to have the volume, so that programs of this machine do not get it. */
  claims(volume: FrontendVolume, before: EarlierAudience): boolean;
  /** Where hosts find an attached volume. */
  placesOf(volume: Pick<FrontendVolume, 'id'>): { readonly gate: string; readonly protocol: 'nvme' | 'iscsi'; readonly nsid: number }[];
  views(): { readonly gates: GateView[]; readonly aoe: AoeGateView[] };
}

export type NewGates = (parts: GateParts) => GateFrontends;

/** For a data process, whose main process has the gates. */
export const NO_GATES: NewGates = () => ({
  frontends: [],
  usedBytes: 0,
  follow: () => Promise.resolve(),
  claims: () => false,
  placesOf: () => [],
  views: () => ({ gates: [], aoe: [] }),
});
