// Facts that a simulated server records about each served volume, and the decision whether a held volume may return with its current
// properties (H5). The production code of volume-failures.ts decides. Only the size comes from the simulation, because production measures
// it at the file. A server of an older build compares nothing. sim-forms.ts chooses the properties of returning volumes.

import { RsError } from '@rsio/base/lib/errors';
import type { Holder } from '@rsio/protocol/wire/messages';
import type { ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import { volumeConfig } from '@rsio/rssrv/testing/volume-config';
import { changedUnderHolders } from '@rsio/rssrv/volumes/volume-failures';
import { factsOf, type VolumeFacts } from '@rsio/rssrv/volumes/volume-ids';

interface Kept {
  readonly facts: VolumeFacts;
  readonly sizeBytes: number;
}

export class SimFacts {
  private readonly kept = new Map<string, Kept>();

  /** Records that the volume is now served with these properties. */
  keep(volume: ServedVolume, stamp: string): void {
    this.kept.set(volume.name, { facts: factsNow(volume, stamp), sizeBytes: volume.sizeBytes });
  }

  /** Returns why the server must not serve a held volume; null: it may serve the volume. */
  whyNot(volume: ServedVolume, stamp: string, holders: readonly Holder[]): RsError | null {
    const before = this.kept.get(volume.name);
    if (before === undefined || holders.length === 0) return null;
    return this.changed(volume, before.facts, factsNow(volume, stamp), holders) ?? this.shrunk(volume, before.sizeBytes);
  }

  private changed(volume: ServedVolume, before: VolumeFacts, now: VolumeFacts, holders: readonly Holder[]): RsError | null {
    return changedUnderHolders(configOf(volume), before, now, holders);
  }

  private shrunk({ name, sizeBytes }: ServedVolume, beforeBytes: number): RsError | null {
    if (sizeBytes >= beforeBytes) return null;
    return new RsError('E_VOLUME', `Volume ${name} has ${sizeBytes} bytes, and had ${beforeBytes} when it was last served`);
  }
}

function configOf({ name, readonly, shared, blockSizeBytes }: ServedVolume): ReturnType<typeof volumeConfig> {
  return volumeConfig({ name, readonly, shared, blockSizeBytes, path: `/srv/${name}` });
}

function factsNow(volume: ServedVolume, stamp: string): VolumeFacts {
  return factsOf(configOf(volume), stamp);
}
