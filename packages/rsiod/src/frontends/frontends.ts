// Combines all frontends of the daemon into one. The first frontend in the list starts first and stops last. The daemon reports the device
// of the first frontend that shows the volume. Invariant: the daemon starts to show a volume in all frontends at the same time, or shows
// the volume in none.

import type { Audience, FrontendVolume, VolumeIdentity } from '../volumes/frontend-volume.ts';
import type { Frontend, ShownAs } from './frontend.ts';

const BOTH: readonly Audience[] = ['programs', 'gates'];

export class Frontends implements Frontend {
  private readonly list: readonly Frontend[];
  /** The frontends in the order in which they stop. */
  private readonly backwards: readonly Frontend[];

  constructor(list: readonly Frontend[]) {
    this.list = list;
    this.backwards = list.toReversed();
  }

  get needsUnused(): boolean {
    return this.list.some(({ needsUnused }) => needsUnused);
  }

  get leftVolumes(): readonly FrontendVolume[] {
    return this.list.flatMap(({ leftVolumes }) => leftVolumes);
  }

  async start(): Promise<void> {
    for (const frontend of this.list) await frontend.start();
  }

  async show(volume: FrontendVolume): Promise<void> {
    const { shownTo } = volume;
    const shown = this.backwards.filter(({ audience = BOTH }) => shownTo === undefined || audience.includes(shownTo));
    await Promise.all(shown.map((frontend) => frontend.show(volume)));
  }

  shownAs(volume: FrontendVolume): ShownAs | null {
    const all = this.list.flatMap((frontend) => frontend.shownAs(volume) ?? []);
    if (all.length === 0) return null;
    const raw = all.find((one) => one.raw !== null)?.raw ?? null;
    return { raw, block: all.find((one) => one.block !== null)?.block ?? null };
  }

  /** Returns the path or the NBD URI of the volume's device in the first frontend that shows the volume; null if none does. */
  deviceOf(volume: FrontendVolume): string | null {
    const [preferred] = this.list.flatMap((frontend) => frontend.shownAs(volume) ?? []);
    return preferred?.block ?? preferred?.raw ?? null;
  }

  async grown(volume: FrontendVolume): Promise<void> {
    await Promise.all(this.list.map((frontend) => frontend.grown(volume)));
  }

  incarnationChanged(volume: FrontendVolume): void {
    for (const frontend of this.list) frontend.incarnationChanged(volume);
  }

  async usersOf(volume: FrontendVolume): Promise<string[]> {
    return await usersIn(this.backwards, volume);
  }

  /** Returns those users of a volume that prevent the daemon from stopping without force. */
  async usersAtEnd(volume: FrontendVolume): Promise<string[]> {
    return await usersIn(
      this.backwards.filter(({ needsUnused }) => needsUnused),
      volume,
    );
  }

  /** Returns why users of a volume would get errors at a restart; null if they would not. */
  async lackAtRestart(volume: FrontendVolume): Promise<string | null> {
    for (const frontend of this.list) {
      const lack = (await frontend.lackAtRestart?.(volume)) ?? null;
      if (lack !== null) return lack;
    }
    return null;
  }

  /** If `hide` throws, the caller must call `show` again, because some frontends may already have hidden the volume. */
  async hide(volume: FrontendVolume, force: boolean): Promise<void> {
    for (const frontend of this.backwards) await frontend.hide(volume, force);
  }

  async drop(volume: FrontendVolume): Promise<void> {
    await Promise.all(this.backwards.map((frontend) => frontend.drop(volume)));
  }

  cut(volume: FrontendVolume): void {
    for (const frontend of this.list) frontend.cut?.(volume);
  }

  async release(volume: VolumeIdentity, reason: string, force: boolean): Promise<void> {
    for (const frontend of this.list) await frontend.release(volume, reason, force);
  }

  async releaseLeft(reason: string, isWanted: (volume: VolumeIdentity) => boolean): Promise<void> {
    await Promise.all(this.list.map((frontend) => frontend.releaseLeft(reason, isWanted)));
  }

  async close(): Promise<void> {
    for (const frontend of this.backwards) await frontend.close();
  }

  async handOver(): Promise<void> {
    for (const frontend of this.backwards) await frontend.handOver();
  }

  async stop(): Promise<void> {
    for (const frontend of this.backwards) await frontend.stop();
  }
}

async function usersIn(frontends: readonly Frontend[], volume: FrontendVolume): Promise<string[]> {
  const users: string[] = [];
  for (const frontend of frontends) users.push(...(await frontend.usersOf(volume)));
  return users;
}
