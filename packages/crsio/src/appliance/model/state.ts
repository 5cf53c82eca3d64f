// The state of crsio's part for the appliance, and the ports through which it uses the machine. Pure. Invariants: one change is in progress at
// a time, because two changes of disks or settings could contradict each other; the screen shows the last view while a change is in progress.

import type { InterfaceSettings } from '@rsio/appliance/changes';
import type { NewArray, Replacement } from '@rsio/appliance/disks';
import type { ApplianceView } from '@rsio/appliance/look';
import type { Slots } from '@rsio/appliance/upgrade';
import type { FirstServer } from '@rsio/common/config/rssrvcfg-edit';
import type { Clock } from '@rsio/base/lib/clock';
import { type Command, type Failure, firstState, type ListPage, type Machine } from '../../machine/machine.ts';
import type { Choice, Row } from '../../machine/rows.ts';

/** `server`: name of rssrv on this machine; null: rssrv has no configuration yet. */
export type ApplianceLook = ApplianceView & { readonly server: string | null };

/** The first server of a namespace, whose ids follow from its names. */
export type OwnServer = Pick<FirstServer, 'name' | 'namespace' | 'addresses'>;

/** A file on a removable disk. */
export interface MediaFile {
  readonly disk: string;
  readonly file: string;
}

export interface AppliancePorts {
  readonly clock: Clock;
  readonly zones: () => readonly string[];
  look(slots: Slots | null): Promise<ApplianceLook>;
  setInterface(wanted: InterfaceSettings, dns: readonly string[], hostname: string): Promise<void>;
  setTime(zone: string, ntp: readonly string[]): Promise<void>;
  setPassword(password: string): Promise<void>;
  makeServer(server: OwnServer): Promise<void>;
  /** `shown`, here and below: the question about the disks that are overwritten. An array is given by the kernel's name. */
  makePool(wanted: NewArray, shown: string): Promise<void>;
  replaceDisk(wanted: Replacement, shown: string): Promise<void>;
  removeFailed(device: string): Promise<void>;
  adoptArray(array: string): Promise<void>;
  removeArray(array: string, typed: string): Promise<void>;
  eraseDisk(name: string, typed: readonly string[], shown: string): Promise<void>;
  save(to: MediaFile): Promise<void>;
  restore(from: MediaFile): Promise<void>;
  /** Returns the version of the new system. */
  upgrade(from: MediaFile): Promise<string>;
  goBack(): Promise<string>;
  power(what: 'reboot' | 'poweroff'): Promise<void>;
}

/** A change of the appliance. */
export interface Order {
  readonly doing: string;
  make(ports: AppliancePorts): Promise<string | void>;
  /** Returns a sentence about the outcome. `version`: what `make` has returned. */
  done(version: string): string;
}

export interface ApplianceState extends Machine<ApplianceState> {
  readonly ports: AppliancePorts;
  readonly nowMs: number;
  readonly view: ApplianceLook | null;
  readonly failure: Failure | null;
  readonly isLooking: boolean;
  readonly nextLookMs: number;
  readonly pending: { readonly order: Order; readonly owner: object | null; readonly sinceMs: number } | null;
}

export type ApplianceCommand = Command<ApplianceState>;
export type AppliancePage = ListPage<ApplianceState>;
export type ApplianceRow = Row<ApplianceCommand>;
export type ApplianceChoice = Choice<ApplianceCommand>;

export function startApplianceState(
  given: Pick<ApplianceState, 'role' | 'size' | 'hasStart' | 'ports'>,
  menu: AppliancePage,
): ApplianceState {
  const nowMs = given.ports.clock.monotonicMs();
  return { ...given, ...firstState(given, menu), nowMs, view: null, failure: null, isLooking: false, nextLookMs: nowMs, pending: null };
}
