// The volumes of the comparison: a mirror with confirmed reads, a mirror with local reads, and a volume of one server, all attached by one
// client, with the bench's load generator on each. Pools are in memory, so that no disk is measured. Invariant: every byte is written
// before the first window, because a hole costs a server less.

import type { Netlab } from '@rsio/test/support/netlab/netlab';
import { linkedMirrorMachines, sharedMirrorMachines } from '@rsio/test/support/netlab/mirror-machines';
import { GIGABIT } from '@rsio/test/support/netlab/shaped-links';
import type { Hosts } from '@rsio/test/support/hosts/hosts';
import { loopbackMirrorPlaces, type MirrorPlaces, MirrorSite } from '@rsio/test/support/scenes/mirror-site';
import { LoadClient } from '../load/load-client.ts';
import type { LoadShape, Measured } from '../load/orders.ts';
import { measure } from '../measure.ts';
import { processTree } from '../proc.ts';
import { inScene, NAMESPACE } from '../scene.ts';
import type { SectionContext } from '../section-run.ts';

const VOLUME_BYTES = 128 * 1024 * 1024;
const WARM_UP_MS = 300;

export const VOLUMES = ['mirror', 'local', 'single'] as const;
export type VolumeName = (typeof VOLUMES)[number];

interface Arrangement {
  readonly title: string;
  readonly needsLinks: boolean;
  places(scene: { readonly hosts: Hosts; readonly net: Netlab }): Promise<MirrorPlaces>;
}

export const ARRANGEMENTS = {
  loopback: { title: 'no links, all programs on these cores', needsLinks: false, places: ({ hosts }) => loopbackMirrorPlaces(hosts) },
  own: { title: '1 Gbit/s to each server', needsLinks: true, places: ({ net }) => linkedMirrorMachines(net, 1, GIGABIT) },
  two: { title: '2 x 1 Gbit/s to each server', needsLinks: true, places: ({ net }) => linkedMirrorMachines(net, 2, GIGABIT) },
  shared: { title: '1 Gbit/s of the client for both servers', needsLinks: true, places: ({ net }) => sharedMirrorMachines(net, GIGABIT) },
} as const satisfies Readonly<Record<string, Arrangement>>;

export type ArrangementName = keyof typeof ARRANGEMENTS;

/** Loads on volumes that are attached at the same time. */
export class MirrorStage {
  private readonly loads: ReadonlyMap<VolumeName, LoadClient>;
  private readonly pid: number;

  private constructor(loads: ReadonlyMap<VolumeName, LoadClient>, pid: number) {
    this.loads = loads;
    this.pid = pid;
  }

  static async open(hosts: Hosts, places: MirrorPlaces, { parent, cores }: SectionContext): Promise<MirrorStage> {
    const options = { poolParent: parent, volumes: { local: { 'mirror-reads': 'local' } } };
    const site = await MirrorSite.start(places, options, (action) => hosts.onClean(action));
    const loads = new Map<VolumeName, LoadClient>();
    for (const name of VOLUMES) {
      await (name === 'single' ? site.addVolume(name, VOLUME_BYTES) : site.addMirror(name, VOLUME_BYTES));
      const volume = { kind: 'nbd', export: `${NAMESPACE}/${name}` } as const;
      const target = { host: site.client.rsiodPaths.nbdSocket, port: null, volume };
      const plan = { client: 0, connections: 1, isReadonly: false, cores: [cores.server, cores.load] };
      const load = await LoadClient.open(target, plan, VOLUME_BYTES);
      hosts.onClean(() => load.stop());
      await load.sweep('write');
      loads.set(name, load);
    }
    return new MirrorStage(loads, site.client.pid('rsiod'));
  }

  /** Runs one window. The cores in the result are those of rsiod. */
  async window(name: VolumeName, shape: LoadShape, round: number, seconds: number): Promise<Measured> {
    const times = { warmUpMs: WARM_UP_MS, windowMs: seconds * 1000 };
    return measure([this.loads.get(name)!], shape, round, times, processTree(this.pid));
  }

  /** Reads back what was written through each volume, and compares every byte. */
  async check(): Promise<void> {
    for (const load of this.loads.values()) await load.sweep('read');
  }
}

/** Starts daemons and machines in this arrangement, calls `use`, and ends them. */
export function onStage<T>(context: SectionContext, name: ArrangementName, use: (stage: MirrorStage) => Promise<T>): Promise<T> {
  return inScene(context, async (scene) => {
    const places = await ARRANGEMENTS[name].places(scene);
    const stage = await MirrorStage.open(scene.hosts, places, context);
    const result = await use(stage);
    await stage.check();
    return result;
  });
}
