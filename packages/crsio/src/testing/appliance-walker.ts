// Simulates a user of crsio's part for the appliance. The test determines the view and the outcome of each change. Invariant: only the ports
// are made for tests; all other code is production code.

import { type Disk, type DiskArray, UNKNOWN_CONTENT } from '@rsio/appliance/disks';
import { FIRST_SETTINGS } from '@rsio/appliance/settings';
import { appliancePart } from '../appliance/appliance-part.ts';
import type { ApplianceLook, AppliancePorts, ApplianceState } from '../appliance/model/state.ts';
import { tick } from '../appliance/work/ordering.ts';
import { Keyboard, settled } from './keyboard.ts';

export function diskOf(name: string, use: Disk['use'] = { kind: 'content', what: UNKNOWN_CONTENT }): Disk {
  return { name, sizeBytes: 4e12, model: 'WDC WD40EFRX', serial: `WD-${name}`, use };
}

export const ARRAY: DiskArray = {
  device: 'md127',
  name: 'fast',
  level: 'raid1',
  isRunning: true,
  sizeBytes: 4e12,
  fileSystem: null,
  wanted: 2,
  working: 2,
  activity: null,
  members: ['sdb', 'sdc'].map((disk) => ({ disk, isFaulty: false })),
};

export const VIEW: ApplianceLook = {
  version: '1.0',
  settings: FIRST_SETTINGS,
  server: 'big-9',
  isRestoreWaiting: false,
  problems: [],
  devices: [{ name: 'ens6', mac: '52:54:00:00:00:06', hasCarrier: true, addresses: ['192.168.45.10/24'] }],
  storage: {
    disks: [diskOf('sda', { kind: 'system' }), diskOf('sdb'), diskOf('sdc', { kind: 'content', what: 'file system ext4' }), diskOf('sdd')],
    arrays: [],
    media: ['sde1'],
  },
  slots: {
    running: 'a',
    isTrial: false,
    choice: { good: 'a', once: null },
    systems: { a: { version: '1.0', sizeBytes: 1, sha256: '' }, b: null },
  },
};

export class ApplianceWalker extends Keyboard<ApplianceState> {
  view: ApplianceLook;
  /** How each change ends. */
  outcome: () => Promise<void> = () => Promise.resolve();

  private constructor(view: Partial<ApplianceLook>) {
    super();
    this.view = { ...VIEW, ...view };
    this.begin(appliancePart({ ports: this.#ports(), hasStart: true, size: { columns: 80, rows: 24 } }, this.leaving), tick);
  }

  static async start(view: Partial<ApplianceLook> = {}): Promise<ApplianceWalker> {
    const walker = new ApplianceWalker(view);
    await settled();
    return walker;
  }

  #ports(): AppliancePorts {
    const change =
      (method: string) =>
      async (...params: readonly unknown[]): Promise<void> => {
        this.calls.push({ method, params });
        await this.outcome();
      };
    const version = (method: string) => (): Promise<string> => change(method)().then(() => '2.0');
    return {
      clock: this.clock,
      zones: () => ['Europe/Oslo', 'Etc/UTC'],
      look: () => Promise.resolve(this.view),
      setInterface: change('setInterface'),
      setTime: change('setTime'),
      setPassword: change('setPassword'),
      makeServer: change('makeServer'),
      makePool: change('makePool'),
      replaceDisk: change('replaceDisk'),
      adoptArray: change('adoptArray'),
      removeArray: change('removeArray'),
      removeFailed: change('removeFailed'),
      eraseDisk: change('eraseDisk'),
      save: change('save'),
      restore: change('restore'),
      power: change('power'),
      upgrade: version('upgrade'),
      goBack: version('goBack'),
    };
  }
}
